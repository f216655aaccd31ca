"""Idempotency keys: whoever cannot know whether a request was heard may repeat it, and nothing is made twice."""

from datetime import timedelta

from aiohttp import web

from gateway.core.errors import Invalid
from gateway.core.event import Delivery
from gateway.runtime.intake import IDEMPOTENCY_KEY

MAX_LENGTH = 200
WINDOW = timedelta(days=7)


def delivery_of(request: web.Request) -> Delivery | None:
    """By what a repetition is known, if it shall be: the same key on another path is another. Raises `Invalid`."""
    keys = request.headers.getall(IDEMPOTENCY_KEY, [])
    if not keys:
        return None
    if len(keys) > 1 or not _is_key(keys[0]):
        expected = f"expected one text of at most {MAX_LENGTH} printable ASCII characters"
        raise Invalid("the headers are not as expected", errors={IDEMPOTENCY_KEY: expected})
    return Delivery(scope=IDEMPOTENCY_KEY, id=f"{request.path} {keys[0]}", window=WINDOW)


def _is_key(text: str) -> bool:
    return bool(text.strip()) and len(text) <= MAX_LENGTH and text.isascii() and text.isprintable()
