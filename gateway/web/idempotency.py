"""Idempotency keys: whoever cannot know whether a request was heard may repeat it, and nothing is made twice."""

from datetime import timedelta
from typing import Annotated

from aiohttp import web
from pydantic import AfterValidator, Field

from gateway.core.event import Delivery
from gateway.runtime.intake import IDEMPOTENCY_KEY
from gateway.web.parameters import Model, parse_headers

MAX_LENGTH = 200
WINDOW = timedelta(days=7)


def _refuse_odd(key: str) -> str:
    if not (key.strip() and len(key) <= MAX_LENGTH and key.isascii() and key.isprintable()):
        raise ValueError(f"expected one text of at most {MAX_LENGTH} printable ASCII characters")
    return key


class Repeatable(Model):
    """The header that makes a request repeatable."""

    key: Annotated[str, AfterValidator(_refuse_odd)] | None = Field(
        None,
        alias=IDEMPOTENCY_KEY,
        description="The same request with the same key, within seven days, is done once.",
        json_schema_extra={"pattern": "^[!-~]([ -~]*[!-~])?$", "maxLength": MAX_LENGTH},
    )


def delivery_of(request: web.Request) -> Delivery | None:
    """By what a repetition is known, if it shall be: the same key on another path is another. Raises `Invalid`."""
    key = parse_headers(request, Repeatable).key
    return None if key is None else Delivery(scope=IDEMPOTENCY_KEY, id=f"{request.path} {key}", window=WINDOW)
