"""Which due instants become ticks: the policies for what is late, too much, or not wanted at that time. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from gateway.core.duration import format_duration
from gateway.core.schedule import Misfire, Schedule
from gateway.core.times import Times, latest
from gateway.core.window import Window

ON_TIME = timedelta(seconds=5)
"""What `misfire.policy: skip` does not call late."""

MAX_AT_ONCE = 10_000
"""Instants that are looked at one by one; of more, the older ones are skipped."""

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A due instant that is made.

    `missed` counts those before it that it stands for, the first of which is `missed_since`; one that is `alone` does
    not merge with others. The ticks of a continuous schedule are told apart by their `number`, as no instant does.
    """

    instant: datetime
    missed: int = 0
    missed_since: datetime | None = None
    alone: bool = False
    number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """Due instants that make no run: the first and the last of them, how many they are, and why."""

    since: datetime
    until: datetime
    count: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """What a look at a schedule came to: how far it is considered now, and when to look again."""

    cursor: datetime
    next_at: datetime | None
    ticks: tuple[Tick, ...] = ()
    skips: tuple[Skip, ...] = ()


def consider(schedule: Schedule, times: Times, cursor: datetime, now: datetime, window: Window | None) -> Considered:
    """What is due in (cursor, now], by the policies of the schedule; `window` is the one that it must not tick in.

    A cursor more than one period ahead of now is from a clock that has been set back, and starts again from now.
    """
    if cursor > now and not _is_within_a_period(times, cursor, now):
        cursor = now
    first = times.after(cursor)
    if first is None or first > now:
        return Considered(cursor=max(cursor, now), next_at=first)
    following = times.after(first)
    if following is None or following > now:
        skips, due, next_at = [], [first], following
        if first < now - schedule.misfire.grace:
            skips, due = [_late(schedule, first, first, 1)], []
    else:
        skips, due = _due(schedule, times, cursor, now)
        next_at = times.after(now)
    blocked, wanted = _split(due, window)
    skips += [_skip(group, f"not during {schedule.not_during}") for group in blocked]
    ticks, left_out = _POLICIES[schedule.misfire.policy](wanted, now, schedule.misfire)
    return Considered(cursor=now, next_at=next_at, ticks=tuple(ticks), skips=(*skips, *left_out))


def _is_within_a_period(times: Times, cursor: datetime, now: datetime) -> bool:
    first = times.after(now)
    second = None if first is None else times.after(first)
    return first is None or second is None or cursor <= now + (second - first)


def _due(schedule: Schedule, times: Times, cursor: datetime, now: datetime) -> tuple[list[Skip], list[datetime]]:
    """What is too old, in one record, and the rest one by one."""
    skips = []
    fresh = max(cursor, now - schedule.misfire.grace - _INSTANT)
    if too_old := times.count(cursor, fresh):
        skips.append(_late(schedule, times.after(cursor), latest(times, cursor, fresh), too_old))
    since = fresh
    if times.count(fresh, now) > MAX_AT_ONCE:
        since = _newest_since(times, now, MAX_AT_ONCE)
        reason = f"more than {MAX_AT_ONCE} were due at once"
        skips.append(_record(times.after(fresh), latest(times, fresh, since), times.count(fresh, since), reason))
    return skips, list(_instants(times, since, now))


def _newest_since(times: Times, until: datetime, most: int) -> datetime:
    """From when on there are no more than so many instants, and about as many: counting more would take its time."""
    span = timedelta(seconds=1)
    while times.count(until - 2 * span, until) <= most:
        span *= 2
    return until - span


def _instants(times: Times, since: datetime, until: datetime) -> Iterator[datetime]:
    instant = times.after(since)
    while instant is not None and instant <= until:
        yield instant
        instant = times.after(instant)


def _split(due: Iterable[datetime], window: Window | None) -> tuple[list[list[datetime]], list[datetime]]:
    """What falls into the window, in unbroken groups, and what does not."""
    if window is None:
        return [], list(due)
    parts = [(is_open, list(group)) for is_open, group in groupby(due, key=window.is_open)]
    wanted = [instant for is_open, group in parts if not is_open for instant in group]
    return [group for is_open, group in parts if is_open], wanted


_Made = tuple[list[Tick], list[Skip]]


def _once(due: Sequence[datetime], _now: datetime, _misfire: Misfire) -> _Made:
    if len(due) > 1:
        return [Tick(instant=due[-1], missed=len(due) - 1, missed_since=due[0])], []
    return [Tick(instant=instant) for instant in due], []


def _all(due: Sequence[datetime], _now: datetime, misfire: Misfire) -> _Made:
    made, too_many = due[-misfire.max :], due[: -misfire.max]
    ticks = [Tick(instant=instant, alone=len(due) > 1) for instant in made]
    return ticks, [_skip(too_many, f"more than misfire.max ({misfire.max})")] if too_many else []


def _skip_late(due: Sequence[datetime], now: datetime, _misfire: Misfire) -> _Made:
    made = [Tick(instant=instant) for instant in due[-1:] if now - instant < ON_TIME]
    late = due[: len(due) - len(made)]
    return made, [_skip(late, "late, and misfire.policy is skip")] if late else []


_POLICIES: dict[str, Callable[[Sequence[datetime], datetime, Misfire], _Made]] = {
    "once": _once,
    "all": _all,
    "skip": _skip_late,
}


def _skip(instants: Sequence[datetime], reason: str) -> Skip:
    return Skip(since=instants[0], until=instants[-1], count=len(instants), reason=reason)


def _late(schedule: Schedule, first: datetime | None, last: datetime | None, count: int) -> Skip:
    return _record(first, last, count, f"older than misfire.grace ({format_duration(schedule.misfire.grace)})")


def _record(first: datetime | None, last: datetime | None, count: int, reason: str) -> Skip:
    assert first is not None and last is not None  # noqa: S101, PT018 - they have been counted
    return Skip(since=first, until=last, count=count, reason=reason)
