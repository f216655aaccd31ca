"""When something is due: sets of instants, and their unions and intersections. All instants are aware, in UTC."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from math import gcd
from typing import Protocol

MAX_COUNT = 100_000
MAX_LEAPS = 3000
HORIZON = timedelta(days=8 * 366)
_TICK = timedelta.resolution


class Times(Protocol):
    """The instants at which something is due."""

    def after(self, instant: datetime) -> datetime | None:
        """The first one strictly after `instant`; `None` when there is none any more."""

    def count(self, since: datetime, until: datetime) -> int:
        """How many there are in (since, until]; unions and intersections say at least so many, up to `MAX_COUNT`."""


@dataclass(frozen=True, slots=True)
class IntervalTimes:
    """`anchor` and every whole number of intervals before and after it."""

    interval: timedelta
    anchor: datetime

    def after(self, instant: datetime) -> datetime | None:
        try:
            return self.anchor + ((instant - self.anchor) // self.interval + 1) * self.interval
        except OverflowError:  # later than a datetime can be
            return None

    def count(self, since: datetime, until: datetime) -> int:
        return max(0, (until - self.anchor) // self.interval - (since - self.anchor) // self.interval)


@dataclass(frozen=True, slots=True)
class AtTimes:
    """Once."""

    instant: datetime

    def after(self, instant: datetime) -> datetime | None:
        return self.instant if instant < self.instant else None

    def count(self, since: datetime, until: datetime) -> int:
        return int(since < self.instant <= until)


@dataclass(frozen=True, slots=True)
class AnyTimes:
    """When at least one of the members is due; once where several are."""

    members: tuple[Times, ...]

    def after(self, instant: datetime) -> datetime | None:
        return min((due for member in self.members if (due := member.after(instant))), default=None)

    def count(self, since: datetime, until: datetime) -> int:
        return _enumerated(self, since, until)


NEVER = AnyTimes(())


@dataclass(frozen=True, slots=True)
class AllTimes:
    """When all members are due at the same instant; see `all_of`.

    Each member in turn leaps to where the others are at least. If they have not met after `MAX_LEAPS` leaps, or within
    `HORIZON`, they are taken never to meet. A union among them leaps with all of its own.
    """

    members: tuple[Times, ...]

    def after(self, instant: datetime) -> datetime | None:
        reached, agreeing = instant + _TICK, 0
        for leap in range(MAX_LEAPS * len(self.members) // sum(map(_width, self.members))):
            due = self.members[leap % len(self.members)].after(reached - _TICK)
            if due is None or due - instant > HORIZON:
                return None
            agreeing = agreeing + 1 if due == reached else 1
            if agreeing == len(self.members):
                return due
            reached = due
        return None

    def count(self, since: datetime, until: datetime) -> int:
        return _enumerated(self, since, until)


@dataclass(frozen=True, slots=True)
class Between:
    """Those in [start, end), where these are given."""

    times: Times
    start: datetime | None = None
    end: datetime | None = None

    def after(self, instant: datetime) -> datetime | None:
        due = self.times.after(self._not_before_start(instant))
        return due if due and (self.end is None or due < self.end) else None

    def count(self, since: datetime, until: datetime) -> int:
        since = self._not_before_start(since)
        until = until if self.end is None else min(until, self.end - _TICK)
        return self.times.count(since, until) if since < until else 0

    def _not_before_start(self, instant: datetime) -> datetime:
        return instant if self.start is None else max(instant, self.start - _TICK)


def latest(times: Times, since: datetime, until: datetime) -> datetime | None:
    """The last one in (since, until], found by bisection."""
    found, after_all = None, until
    while since < after_all:
        middle = since + (after_all - since) // 2
        due = times.after(middle)
        if due is not None and due <= until:
            found = since = due
        else:
            after_all = middle
    return found


def all_of(members: Iterable[Times]) -> Times:
    """When all are due at once. Intervals become one by arithmetic, and with an `AtTimes` it is that or never."""
    rest = tuple(members)
    for member in rest:
        if isinstance(member, AtTimes):
            return member if all(_is_due(other, member.instant) for other in rest) else NEVER
    intervals = [member for member in rest if isinstance(member, IntervalTimes)]
    while len(intervals) > 1:
        met = _meeting(intervals.pop(), intervals.pop())
        if met is None:
            return NEVER
        intervals.append(met)
    return AllTimes((*intervals, *(member for member in rest if not isinstance(member, IntervalTimes))))


def _width(times: Times) -> int:
    return max(1, sum(map(_width, times.members))) if isinstance(times, AnyTimes) else 1


def _is_due(times: Times, instant: datetime) -> bool:
    return times.after(instant - _TICK) == instant


def _meeting(one: IntervalTimes, other: IntervalTimes) -> IntervalTimes | None:
    """The instants that two intervals have in common (the Chinese remainder theorem), if there are any."""
    size, other_size = one.interval // _TICK, other.interval // _TICK
    apart, common = (other.anchor - one.anchor) // _TICK, gcd(size, other_size)
    if apart % common:
        return None
    steps = apart // common * pow(size // common, -1, other_size // common) % (other_size // common)
    period, offset = size * other_size // common, size * steps
    for ahead in (offset, offset - period):
        try:
            # Two that meet less often than a timedelta can say meet at most once in all the years that a datetime has.
            return IntervalTimes(min(period, timedelta.max // _TICK) * _TICK, one.anchor + ahead * _TICK)
        except OverflowError:
            continue
    return None


def _enumerated(times: Times, since: datetime, until: datetime) -> int:
    return sum(1 for _ in islice(_instants(times, since, until), MAX_COUNT))


def _instants(times: Times, since: datetime, until: datetime) -> Iterator[datetime]:
    due = times.after(since)
    while due is not None and due <= until:
        yield due
        due = times.after(due)
