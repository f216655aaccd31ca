"""How many requests a source takes: a token bucket for each source, on each node."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from gateway.core.errors import TooMany

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_RATE = re.compile(r"([1-9][0-9]{0,8})/([smh])", re.ASCII)


@dataclass(frozen=True, slots=True)
class RequestRate:
    """`requests` in `seconds`, and at most so many at once."""

    requests: int
    seconds: int

    def __str__(self) -> str:
        unit = next(unit for unit, seconds in _SECONDS.items() if seconds == self.seconds)
        return f"{self.requests}/{unit}"


def parse_rate(text: Any) -> RequestRate:
    """`100/s` as a rate. Raises `ValueError` for anything else."""
    if isinstance(text, RequestRate):
        return text
    match = _RATE.fullmatch(text) if isinstance(text, str) else None
    if not match:
        raise ValueError(f"expected a rate such as 100/s, 10/m or 500/h, got {text!r:.60}")
    return RequestRate(int(match[1]), _SECONDS[match[2]])


Rate = Annotated[RequestRate, BeforeValidator(parse_rate, json_schema_input_type=str), PlainSerializer(str)]


class Bucket:
    """Full at first; each request takes one token, and they come back at the rate."""

    def __init__(self, rate: RequestRate) -> None:
        self._capacity = rate.requests
        self._per_second = rate.requests / rate.seconds
        self._tokens = float(rate.requests)
        self._filled_at: float | None = None

    def take(self, now: float) -> None:
        """Takes a token at the monotonic time `now`. Raises `TooMany`, with the time until there is one."""
        elapsed = now - (now if self._filled_at is None else self._filled_at)
        self._tokens = min(self._capacity, self._tokens + elapsed * self._per_second)
        self._filled_at = now
        if self._tokens < 1:
            raise TooMany("more requests than this source takes", retry_after=(1 - self._tokens) / self._per_second)
        self._tokens -= 1
