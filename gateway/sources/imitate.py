"""Requests as a sender would make them, for `gateway send` and for tests."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode
from uuid import uuid4

from gateway.core import strict_json
from gateway.core.errors import Unparseable
from gateway.core.template import Template, clock
from gateway.sources import body, cloudevents
from gateway.sources.incoming import BodyKind, Received, lower
from gateway.sources.webhook import Settings

CONTENT_TYPES: Mapping[BodyKind, str] = {
    "json": "application/json",
    "form": body.FORM,
    "text": "text/plain; charset=utf-8",
    "cloudevents": cloudevents.STRUCTURED,
}
"""What senders call their bodies, as long as nothing else is known of them."""


def imitate(
    settings: Settings, sample_headers: Mapping[str, str], raw: bytes, now: datetime, uuid: str | None = None
) -> dict[str, str]:
    """The headers that the sender of `raw` sends: those of the sample, and what the source's `verify` looks for.

    Raises `TemplateError`, and `Unverified` where the sample lacks what is to be signed.
    """
    headers = unsigned(sample_headers, raw, now, uuid)
    return headers | settings.verify.sign(Received(headers=lower(headers), raw=raw, now=now, query={}))


def unsigned(sample_headers: Mapping[str, str], raw: bytes, now: datetime, uuid: str | None = None) -> dict[str, str]:
    """The headers of a sample: templates over `body`, `uuid` (a fresh one unless given) and `now()`.

    Raises `TemplateError`.
    """
    context = {"body": _data(raw), "uuid": uuid or str(uuid4()), "now": clock(now)}
    return {name: Template(text).text(context) for name, text in sample_headers.items()}


def proven(settings: Settings, raw: bytes) -> bytes:
    """The body with the proof of its sender, where it stands there and is not there yet.

    Raises `ValueError` for a body that has no fields.
    """
    fields = settings.verify.sign_body()
    if not fields:
        return raw
    if settings.body == "form":
        return b"&".join(part for part in (raw, urlencode(fields).encode()) if part)
    data = _data(raw)
    if not isinstance(data, dict):
        raise ValueError(f"the proof is the field {min(fields)} of a body that has none")  # noqa: TRY004 - as documented
    return raw if fields.keys() <= data.keys() else strict_json.dump(data | fields)


def _data(raw: bytes) -> object:
    try:
        return strict_json.parse(raw)
    except Unparseable:
        return None
