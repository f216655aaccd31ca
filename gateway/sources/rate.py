"""How many requests a source takes: a token bucket for each source, on each node."""

from gateway.core.errors import TooMany
from gateway.core.rate import RequestRate


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
