"""A rate such as `10/m`: how it is written, and when the calls of a target keep it."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

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

    @property
    def interval(self) -> timedelta:
        """From one request to the next, where they come evenly; never nothing, however many they are."""
        return max(timedelta(seconds=self.seconds) / self.requests, timedelta.resolution)


def parse_rate(text: Any) -> RequestRate:
    """`100/s` as a rate. Raises `ValueError` for anything else."""
    if isinstance(text, RequestRate):
        return text
    match = _RATE.fullmatch(text) if isinstance(text, str) else None
    if not match:
        raise ValueError(f"expected a rate such as 100/s, 10/m or 500/h, got {text!r:.60}")
    return RequestRate(int(match[1]), _SECONDS[match[2]])


Rate = Annotated[RequestRate, BeforeValidator(parse_rate, json_schema_input_type=str), PlainSerializer(str)]


@dataclass(frozen=True, slots=True)
class Pace:
    """How far a rate is used up: the generic cell rate algorithm, whose whole state is one instant.

    `next_call_at` is when one more call is allowed; `None` before the first.
    """

    rate: RequestRate
    next_call_at: datetime | None

    def allowed(self, now: datetime) -> int:
        """How many calls may be made at once."""
        earliest = self._earliest(now)
        return 0 if now < earliest else (now - earliest) // self.rate.interval + 1

    def after(self, calls: int, now: datetime) -> "Pace":
        """As it is when so many calls have been made."""
        return Pace(self.rate, self._earliest(now) + calls * self.rate.interval)

    def _earliest(self, now: datetime) -> datetime:
        """What was not used is saved up to a full burst; a slower rate or clock of the past binds nobody for longer."""
        full = now - (self.rate.requests - 1) * self.rate.interval
        return full if self.next_call_at is None else max(full, min(self.next_call_at, now + self.rate.interval))
