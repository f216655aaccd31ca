"""Going through instants that are due, for tests."""

from collections.abc import Iterator
from datetime import UTC, datetime

from gateway.core.times import Times


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def due(times: Times, since: datetime, until: datetime) -> list[datetime]:
    """All in (since, until]."""
    return list(_due(times, since, until))


def _due(times: Times, since: datetime, until: datetime) -> Iterator[datetime]:
    instant = times.after(since)
    while instant is not None and instant <= until:
        assert instant > since
        yield instant
        since, instant = instant, times.after(instant)
