"""What a sender posts: a body, the headers that go with it, and where to."""

import ipaddress
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import uuid4

import orjson

from gateway.cli.failure import Exit, Failure
from gateway.config import Loaded
from gateway.core.errors import TemplateError, Unverified
from gateway.core.printable import one_line
from gateway.core.wording import did_you_mean
from gateway.runtime.settings import Server
from gateway.sources import base, webhook
from gateway.sources.imitate import CONTENT_TYPES, imitate, proven

SAMPLE_ID = "00000000-0000-4000-8000-000000000000"
SAMPLE_TIME = datetime(2026, 1, 1, tzinfo=UTC)
"""What stands in the samples for the id and the time of the event, the latter as RFC 3339 or in seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One request, as the sender makes it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    def curl(self) -> str:
        """The same as a command line."""
        headers = [part for name, value in self.headers.items() for part in ("-H", f"{name}: {value}")]
        data = self.body.decode(errors="surrogateescape")
        return shlex.join(["curl", "-X", self.method, *headers, "--data-binary", data, self.url])


def prepare(
    loaded: Loaded,
    source: str,
    body: bytes | None = None,
    *,
    extra: Mapping[str, str] | None = None,
    keep: bool = False,
) -> Posting:
    """What the sender of a source posts: `body`, or the sample of its preset.

    With `keep` the sample stays as it is; otherwise it gets a new id and the present time. Headers in `extra` go over
    those of the sender. Raises `Failure`.
    """
    settings = _webhook(loaded, source)
    now = datetime.now(UTC)  # noqa: TID251 - the sender's clock is that of this machine
    uuid = SAMPLE_ID if keep else str(uuid4())
    time = SAMPLE_TIME if keep else now
    given = body if body is not None else _fresh(_sample(loaded, source), uuid, time)
    sample = over(sample_headers(loaded, source, settings), extra or {})
    try:
        raw = proven(settings, given)
        headers = imitate(settings, sample, raw, now, uuid)
    except (ValueError, TemplateError, Unverified) as error:
        raise Failure(f"It cannot be signed as the sender would: {one_line(str(error))}", Exit.USAGE) from error
    return Posting(
        method=settings.methods[0],
        url=_url(loaded.config.server, source, settings),
        headers=over(headers, extra or {}),
        body=raw,
    )


def section_of(loaded: Loaded, source: str) -> base.Settings:
    """The section of a source. Raises `Failure`."""
    settings = loaded.config.sources.get(source)
    if settings is None:
        hint = did_you_mean(source, loaded.config.sources)
        raise Failure(f"The configuration has no source {one_line(repr(source))}{hint}", Exit.USAGE)
    return settings


def _webhook(loaded: Loaded, source: str) -> webhook.Settings:
    settings = section_of(loaded, source)
    if not isinstance(settings, webhook.Settings):
        raise Failure(f"{source} is a source of the kind {settings.kind}; only webhooks are posted to.", Exit.USAGE)
    return settings


def _sample(loaded: Loaded, source: str) -> str:
    preset = loaded.presets.get(source)
    body = loaded.library.body("sources", preset) if preset else None
    if body is None:
        raise Failure(f"There is no sample for the source {source}: name a FILE to send.", Exit.USAGE)
    return body


def _fresh(sample: str, uuid: str, time: datetime) -> bytes:
    fresh = sample.replace(SAMPLE_ID, uuid).replace(SAMPLE_TIME.isoformat(), time.isoformat())
    return orjson.dumps(orjson.loads(fresh.replace(_epoch(SAMPLE_TIME), _epoch(time))))


def _epoch(time: datetime) -> str:
    return str(int(time.timestamp()))


def sample_headers(loaded: Loaded, source: str, settings: webhook.Settings) -> Mapping[str, str]:
    """What the sender of a source sends along, as templates, but for its proof."""
    preset = loaded.presets.get(source)
    sample = loaded.library.load("sources", preset).sample if preset else None
    headers: Mapping[str, str] = (sample or {}).get("headers", {"Content-Type": CONTENT_TYPES[settings.body]})
    return headers


def over(headers: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """The headers, with others in the place of those of the same name."""
    given = {name.lower() for name in extra}
    return {name: value for name, value in headers.items() if name.lower() not in given} | dict(extra)


def _url(server: Server, source: str, settings: webhook.Settings) -> str:
    query = urlencode(settings.verify.sign_query())
    return _base_url(server) + (settings.path or f"/hooks/{source}") + (f"?{query}" if query else "")


def _base_url(server: Server) -> str:
    """Where GATEWAY_URL says, else where the gateway with this configuration listens, seen from its own machine."""
    if url := os.environ.get("GATEWAY_URL"):
        return url.rstrip("/")
    return f"{'https' if server.tls else 'http'}://{_reachable(server.host)}:{server.port}"


def _reachable(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        return "[::1]" if address.is_unspecified else f"[{host}]"
    return "127.0.0.1" if address.is_unspecified else host
