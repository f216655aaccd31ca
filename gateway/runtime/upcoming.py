"""What is to come: the next instants of schedules, computed as they are asked for."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo

from gateway.core.local_time import SECOND, LocalTimes, repetition, to_instant, to_local
from gateway.core.schedule import Schedule
from gateway.core.tick import jitter
from gateway.core.times import AllTimes, AnyTimes, Between, Times
from gateway.core.window import Window
from gateway.runtime.ticks import parsed
from gateway.store.database import Database
from gateway.store.schedules import StoredSchedule, list_schedules

PER_SCHEDULE = 100
COUNTED = 1000
"""Of what is left out, where it can only be counted one by one."""

_MAX_BLOCKED = 1000
"""Instants in a row that may fall into a window; a schedule with more of them is taken never to tick."""

_PAGE = 500
_INSTANT = timedelta.resolution

Windows = Mapping[str, Window]


@dataclass(frozen=True, slots=True)
class Upcoming:
    """Ticks in the order of time, and of how many of a schedule there are more than are shown."""

    items: list[dict[str, Any]] = field(default_factory=list)
    truncated: dict[str, int] = field(default_factory=dict)


async def upcoming(database: Database, windows: Windows, lasting: timedelta) -> Upcoming:
    """The ticks of all schedules within this time; in a thread, so that a large site does not hold up the others."""
    now = database.now()
    found = Upcoming()
    async for some in _pages(database):
        await asyncio.to_thread(_add, found, some, windows, now, now + lasting)
    await asyncio.to_thread(found.items.sort, key=lambda item: (item["at"], item["schedule"]))
    return found


def instants(stored: StoredSchedule, schedule: Schedule, windows: Windows, now: datetime) -> Iterator[datetime]:
    """The coming ticks of a schedule; none of one that is off or paused for good, or that is not timed."""
    is_paused = stored.is_paused(now)
    if not stored.enabled or schedule.continuous or (is_paused and stored.paused_until is None):
        return
    since = stored.paused_until if is_paused and stored.paused_until else now
    yield from _outside(schedule.due_times(stored.name, stored.anchor), windows.get(schedule.not_during or ""), since)


def _outside(times: Times, window: Window | None, since: datetime) -> Iterator[datetime]:
    """Those after an instant at which a window is closed."""
    blocked = 0
    due = times.after(since)
    while due is not None and blocked <= _MAX_BLOCKED:
        closes = window.closes_at(due) if window else None
        if closes is None:
            yield due
        blocked = 0 if closes is None else blocked + 1
        due = times.after(due if closes is None else max(due, closes - _INSTANT))


async def _pages(database: Database) -> AsyncIterator[list[StoredSchedule]]:
    page = await list_schedules(database, _PAGE)
    while page:
        yield page
        page = await list_schedules(database, _PAGE, after=page[-1].name)


def _add(found: Upcoming, some: Iterable[StoredSchedule], windows: Windows, now: datetime, until: datetime) -> None:
    for stored in some:
        try:
            schedule = parsed(stored.definition)
        except ValueError:  # its own page says so
            continue
        coming = takewhile(lambda instant: instant <= until, instants(stored, schedule, windows, now))
        shown = list(islice(coming, PER_SCHEDULE))
        found.items.extend(_item(stored, schedule, instant) for instant in shown)
        if len(shown) == PER_SCHEDULE and (left_out := _count(stored, schedule, coming, shown[-1], until)):
            found.truncated[stored.name] = left_out


def _count(
    stored: StoredSchedule, schedule: Schedule, coming: Iterator[datetime], last: datetime, until: datetime
) -> int:
    """How many come after the last one shown; at least so many, where that is `COUNTED`."""
    if schedule.any or schedule.all or schedule.not_during:
        return sum(1 for _ in islice(coming, COUNTED))
    return schedule.due_times(stored.name, stored.anchor).count(last, until)


def _item(stored: StoredSchedule, schedule: Schedule, instant: datetime) -> dict[str, Any]:
    zone = schedule.timezone
    item = {
        "schedule": stored.name,
        "at": instant,
        "local": instant.astimezone(zone).isoformat(),
        "target": schedule.target,
    }
    if schedule.jitter:
        item["starts_at"] = instant + jitter(stored.name, instant, schedule.jitter)
    if note := _note(schedule.due_times(stored.name, stored.anchor), instant, zone):
        item["note"] = note
    return item


def _note(times: Times, instant: datetime, zone: ZoneInfo) -> str | None:
    """What is peculiar about its local time."""
    local = to_local(instant, zone)
    if repetition(local, zone):
        return f"this local time occurs twice that day; this is the {'second' if local.fold else 'first'} time"
    comes_after_a_gap = to_instant(local - SECOND, zone) == instant
    if comes_after_a_gap and not _is_meant(times, instant):
        return "moved: the local time that was meant does not exist that day"
    return None


def _is_meant(times: Times, instant: datetime) -> bool:
    """Whether the local time of an instant is one that is asked for, not the next best."""
    match times:
        case Between():
            return _is_meant(times.times, instant)
        case AnyTimes() | AllTimes():
            return any(_is_meant(member, instant) for member in times.members)
        case LocalTimes():
            local = to_local(instant, times.zone)
            return times.pattern.count(local, local + SECOND) > 0
        case _:
            return times.count(instant - _INSTANT, instant) > 0
