"""Requests as a sender would make them, for `gateway send` and for tests."""

from collections.abc import Mapping
from datetime import datetime
from uuid import uuid4

from gateway.core import strict_json
from gateway.core.errors import Unparseable
from gateway.core.template import Template, clock
from gateway.sources.incoming import Received, lower
from gateway.sources.webhook import Settings


def imitate(
    settings: Settings, sample_headers: Mapping[str, str], raw: bytes, now: datetime, uuid: str | None = None
) -> dict[str, str]:
    """The headers that the sender of `raw` sends: those of the sample, and what the source's `verify` looks for.

    Raises `ValueError` where the proof stands in no header, `TemplateError`, and `Unverified` where the sample lacks
    what is to be signed.
    """
    headers = unsigned(sample_headers, raw, now, uuid)
    return headers | settings.verify.sign(Received(headers=lower(headers), raw=raw, now=now, query={}))


def unsigned(sample_headers: Mapping[str, str], raw: bytes, now: datetime, uuid: str | None = None) -> dict[str, str]:
    """The headers of a sample: templates over `body`, `uuid` (a fresh one unless given) and `now()`.

    Raises `TemplateError`.
    """
    context = {"body": _data(raw), "uuid": uuid or str(uuid4()), "now": clock(now)}
    return {name: Template(text).text(context) for name, text in sample_headers.items()}


def _data(raw: bytes) -> object:
    try:
        return strict_json.parse(raw)
    except Unparseable:
        return None
