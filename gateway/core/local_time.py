"""From local time, which stands still, jumps and repeats itself, to instants, which do not.

Local times are naive datetimes: what a clock on the wall shows. Where it shows one twice, `fold` says which of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Protocol
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, PlainSerializer

SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


def parse_zone(name: object) -> ZoneInfo:
    """A time zone by its IANA name. Raises `ValueError` for an unknown one."""
    if isinstance(name, ZoneInfo):
        return name
    try:
        return ZoneInfo(str(name))
    except (LookupError, ValueError, OSError) as error:
        raise ValueError("expected a time zone such as UTC or Europe/Amsterdam") from error


Zone = Annotated[
    ZoneInfo,
    BeforeValidator(parse_zone, json_schema_input_type=str),
    PlainSerializer(str, return_type=str),
]


class Pattern(Protocol):
    """Local times of whole seconds, such as a cron expression describes.

    A fixed one names its times of day: they are meant once a day, also where the clock shows them twice. One of every
    hour misses nothing because of an hour that does not exist.
    """

    @property
    def is_fixed(self) -> bool: ...
    @property
    def is_every_hour(self) -> bool: ...

    def following(self, local: datetime) -> datetime | None:
        """The first one strictly after a local time."""

    def count(self, begin: datetime, end: datetime) -> int:
        """How many there are in [begin, end)."""


@dataclass(frozen=True, slots=True)
class LocalTimes:
    """The instants at which the clocks of a zone show the times of a pattern.

    Those that do not exist count at the first instant after the gap, all of them once. One that occurs twice counts
    both times, or the first time if the pattern is fixed.
    """

    pattern: Pattern
    zone: ZoneInfo

    def after(self, instant: datetime) -> datetime | None:
        shown = to_local(instant, self.zone)
        back = repetition(shown, self.zone)
        if back is None or self.pattern.is_fixed:
            return self._first(self.pattern.following(_furthest(shown, back)))
        if not shown.fold:
            due = self.pattern.following(shown)
            if due is None or due < back.stops:
                return self._first(due)
            shown = back.resumes - SECOND
        due = self.pattern.following(shown)
        if due is None or due >= back.stops:
            return self._first(due)
        return to_instant(due.replace(fold=1), self.zone)

    def count(self, since: datetime, until: datetime) -> int:
        since, until = since.replace(microsecond=0), until.replace(microsecond=0)
        local = to_local(since, self.zone)
        shown = _furthest(local, repetition(local, self.zone)) + SECOND
        total = 0
        for begin, end in _strokes(since + SECOND, until + SECOND, self.zone):
            total += self._made_up(shown, begin)
            total += self.pattern.count(max(shown, begin) if self.pattern.is_fixed else begin, end)
            shown = end
        return total

    def _first(self, local: datetime | None) -> datetime | None:
        if local is None:
            return None
        instant = to_instant(local, self.zone)
        if self.pattern.is_every_hour and (shown := to_local(instant, self.zone)) != local:
            return self._first(self.pattern.following(shown - SECOND))
        return instant

    def _made_up(self, stops: datetime, resumes: datetime) -> int:
        """Whether the first instant after a gap counts for what is in it, unless it counts by itself."""
        if stops >= resumes or self.pattern.is_every_hour or self.pattern.count(resumes, resumes + SECOND):
            return 0
        return int(self.pattern.count(stops, resumes) > 0)


@dataclass(frozen=True, slots=True)
class Transition:
    """Where the clock that is about to show `stops` is moved to `resumes`.

    Forward, the times from `stops` up to `resumes` do not exist; back, those from `resumes` up to `stops` occur twice.
    """

    instant: datetime
    stops: datetime
    resumes: datetime


def to_local(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


def to_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """When the clocks show it; where they never do, the first instant after the gap."""
    first, second = _offsets(local, zone)
    if first < second:
        return _transition(local, zone).instant
    return (local - (second if local.fold else first)).replace(tzinfo=UTC)


def repetition(local: datetime, zone: ZoneInfo) -> Transition | None:
    """The transition because of which a time is shown twice."""
    first, second = _offsets(local, zone)
    return _transition(local, zone) if first > second else None


def _furthest(shown: datetime, back: Transition | None) -> datetime:
    """The latest time that the clock has shown so far: while it repeats itself, that was before it was put back."""
    return back.stops - SECOND if back and shown.fold else shown


def _strokes(since: datetime, until: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """What the clock shows in [since, until), in stretches over which nobody moves it: [begin, end) each."""
    if since >= until:
        return
    begin = to_local(since, zone)
    for transition in _transitions(since, until - SECOND, zone):
        yield begin, transition.stops
        begin = transition.resumes
    yield begin, to_local(until - SECOND, zone) + SECOND


def _transitions(since: datetime, until: datetime, zone: ZoneInfo) -> Iterator[Transition]:
    """All in (since, until]; no zone has ever had two of them within a day."""
    while since < until:
        ahead = min(since + _DAY, until)
        if _offset(since, zone) != _offset(ahead, zone):
            yield _bisected(since, ahead, zone)
        since = ahead


def _transition(local: datetime, zone: ZoneInfo) -> Transition:
    """The one that makes this time special: it comes between the two instants that the time could be."""
    local = local.replace(microsecond=0)
    first, second = ((local - offset).replace(tzinfo=UTC) for offset in _offsets(local, zone))
    return _bisected(min(first, second) - SECOND, max(first, second), zone)


def _bisected(before: datetime, after: datetime, zone: ZoneInfo) -> Transition:
    """The transition in (before, after], both of them whole seconds."""
    offset = _offset(before, zone)
    while after - before > SECOND:
        middle = before + (after - before) // SECOND // 2 * SECOND
        if _offset(middle, zone) == offset:
            before = middle
        else:
            after = middle
    return Transition(after, stops=to_local(before, zone) + SECOND, resumes=to_local(after, zone))


def _offsets(local: datetime, zone: ZoneInfo) -> tuple[timedelta, timedelta]:
    """Those before and after the transition, where a time is missing or occurs twice; else twice the same."""
    all_day = _offset_of_day(local.date(), zone)
    if all_day is not None:
        return all_day, all_day
    first, second = local.replace(tzinfo=zone, fold=0), local.replace(tzinfo=zone, fold=1)
    return first.utcoffset() or timedelta(0), second.utcoffset() or timedelta(0)


@lru_cache(maxsize=4096)
def _offset_of_day(day: date, zone: ZoneInfo) -> timedelta | None:
    """The one offset of a day on which nobody moves the clock; most are, and this is most of what times cost."""
    begin = datetime.combine(day, time(), zone)
    end = datetime.combine(day + _DAY, time(fold=1), zone)
    return begin.utcoffset() if begin.utcoffset() == end.utcoffset() else None


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)
