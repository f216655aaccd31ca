"""The clock of all schedules: on the node that leads, what is due becomes ticks.

Work grows with what is due, not with how many schedules there are: the next one to look at is found by an index.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import structlog

from gateway.core.errors import Unavailable
from gateway.runtime import observe, tracing
from gateway.runtime.leadership import Leadership
from gateway.runtime.snapshot import Current, Snapshot
from gateway.runtime.ticks import define, look
from gateway.runtime.zones import rules
from gateway.store.continuous import stalled_schedules
from gateway.store.database import Database
from gateway.store.leadership import Leading, NotLeading
from gateway.store.schedules import StoredSchedule, due_schedules, file_schedules, misjudged_schedules, next_look
from gateway.store.scheduling import FileChange, LookAgain, follow_file, look_again
from gateway.store.tick import Ticked, Ticking, tick
from gateway.store.writer import R, Transaction

log = structlog.get_logger(__name__)

LOOK_EVERY = 1.0
BATCH = 1000
BROKEN_AGAIN_AFTER = timedelta(minutes=1)
SET_BACK = timedelta(seconds=1)

Wake = Callable[[Iterable[str]], None]


class _OfSchedule(Protocol):
    """What is asked of the store about one schedule."""

    @property
    def name(self) -> str: ...


S = TypeVar("S", bound=_OfSchedule)


class Ticker:
    """Idle until this node leads; then it makes ticks until it does not any more."""

    def __init__(self, database: Database, current: Current, leadership: Leadership, wake: Wake) -> None:
        self._database = database
        self._current = current
        self._leadership = leadership
        self._wake_dispatcher = wake
        self._woken = asyncio.Event()
        self._followed: Snapshot | None = None
        self._last_now = database.now()

    def wake(self) -> None:
        """Says that schedules have been changed."""
        self._woken.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            leading = await self._leadership.gained()
            self._followed, self._last_now = None, self._database.now()
            while self._leadership.is_current(leading):
                try:
                    pause = await self._tick(leading)
                except NotLeading as error:
                    log.warning("ticker.refused", reason=str(error))
                    self._leadership.wake()
                    pause = LOOK_EVERY
                except Unavailable as error:
                    log.warning("ticker.waiting", reason=error.detail)
                    pause = LOOK_EVERY
                await self._sleep(pause)

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()

    async def _tick(self, leading: Leading) -> float:
        """Makes what is due; returns how many seconds there are until the next look."""
        snapshot = self._current.snapshot
        now, next_at = await self._look_at_the_clock()
        is_new, is_set_back = snapshot is not self._followed, now < self._last_now - SET_BACK
        if is_new:
            await self._follow_file(leading, snapshot)
        if is_set_back:
            log.warning("ticker.clock_set_back", by=str(self._last_now - now))
        if is_new or is_set_back:
            await self._look_again(leading, await misjudged_schedules(self._database, now, rules))
            self._followed, self._last_now = snapshot, now
            return 0.0
        self._last_now = now
        if next_at is not None and next_at <= now:
            await self._make(leading, snapshot, now)
            return 0.0
        await self._look_again(leading, await stalled_schedules(self._database))
        return min(LOOK_EVERY, (next_at - now).total_seconds()) if next_at else LOOK_EVERY

    async def _look_at_the_clock(self) -> tuple[datetime, datetime | None]:
        """The present instant, and when the next schedule is to be looked at."""
        asked = time.monotonic()
        now, next_at = await next_look(self._database)
        self._database.clock.follow(now, asked, time.monotonic())
        return now, next_at

    async def _follow_file(self, leading: Leading, snapshot: Snapshot) -> None:
        """Stores what the file of this node says differently from what is stored."""
        stored = await file_schedules(self._database)
        changes = await asyncio.to_thread(_changes, leading, snapshot, stored)
        await self._commit_all(follow_file, changes)
        if changes:
            log.info("schedules.followed_file", changed=len(changes))

    async def _look_again(self, leading: Leading, names: Sequence[str]) -> None:
        await self._commit_all(look_again, [LookAgain(leading=leading, name=name) for name in names])

    async def _make(self, leading: Leading, snapshot: Snapshot, now: datetime) -> None:
        """Looks at a batch of what is due, the longest waiting first."""
        due = await due_schedules(self._database, now, BATCH)
        tickings = await asyncio.to_thread(_look_at_all, leading, due, snapshot, now)
        if snapshot is not self._current.snapshot:
            return  # worked out, in part, with time zones that are not those of the new configuration
        ticked = await self._commit_all(tick, tickings)
        for ticking, made in zip(tickings, ticked, strict=True):
            if isinstance(made, Ticked):
                _tell(ticking, made)
                self._count(ticking, made, snapshot, now)
        refused = [one.stored for one, made in zip(tickings, ticked, strict=True) if isinstance(made, Exception)]
        await self._commit_all(tick, [_put_off(leading, stored, now) for stored in refused])
        requests = [
            request for one in tickings for acceptance in one.acceptances for request in acceptance.plan.requests
        ]
        self._wake_dispatcher({request.target for request in requests})

    def _count(self, ticking: Ticking, ticked: Ticked, snapshot: Snapshot, looked_at: datetime) -> None:
        ticks = {acceptance.event.id: acceptance for acceptance in ticking.acceptances}
        made = [ticks[accepted.event_id] for accepted in ticked.accepted]
        observe.accepted(made, ticked.accepted, snapshot)
        observe.skipped(ticking.name, sum(skip.count for skip in ticked.skips), snapshot)
        tracing.accepted(made, ticked.accepted, looked_at, self._database.now())

    async def _commit_all(self, transaction: Transaction[S, R], requests: Sequence[S]) -> list[R | Exception]:
        """As many at a time as the writer takes; what the database refuses does not keep the others waiting.

        Raises `NotLeading` and `Unavailable`.
        """
        results: list[R | Exception] = []
        for start in range(0, len(requests), BATCH):
            some = requests[start : start + BATCH]
            results += await asyncio.gather(*(self._commit(transaction, request) for request in some))
        return results

    async def _commit(self, transaction: Transaction[S, R], request: S) -> R | Exception:
        try:
            return await self._database.commit(transaction, request)
        except (NotLeading, Unavailable):
            raise
        except Exception as error:
            log.exception("schedule.refused", schedule=request.name)
            return error


def _changes(leading: Leading, snapshot: Snapshot, stored: Mapping[str, bytes]) -> list[FileChange]:
    defined = [define(name, schedule) for name, schedule in snapshot.schedules.items()]
    changed = [new for new in defined if stored.get(new.name) != new.fields]
    gone = stored.keys() - snapshot.schedules.keys()
    return [
        *(FileChange(leading=leading, name=new.name, definition=new) for new in changed),
        *(FileChange(leading=leading, name=name, definition=None) for name in sorted(gone)),
    ]


def _look_at_all(leading: Leading, due: Iterable[StoredSchedule], snapshot: Snapshot, now: datetime) -> list[Ticking]:
    return [_look(leading, stored, snapshot, now) for stored in due]


def _look(leading: Leading, stored: StoredSchedule, snapshot: Snapshot, now: datetime) -> Ticking:
    """One that cannot be worked out is put off, and does not keep the others waiting."""
    try:
        ticking = look(leading, stored, snapshot, now)
    except Exception:
        log.exception("schedule.broken", schedule=stored.name)
        ticking = None
    return ticking or _put_off(leading, stored, now)


def _put_off(leading: Leading, stored: StoredSchedule, now: datetime) -> Ticking:
    later = now + BROKEN_AGAIN_AFTER
    cursor = stored.considered_until
    return Ticking(leading=leading, stored=stored, cursor=cursor, next_at=later, zone_rules=stored.zone_rules)


def _tell(ticking: Ticking, ticked: Ticked) -> None:
    for accepted in ticked.accepted:
        log.debug("schedule.ticked", schedule=ticking.name, event_id=accepted.event_id)
    for skip in ticked.skips:
        until = skip.until.isoformat()
        log.info("schedule.skipped", schedule=ticking.name, count=skip.count, reason=skip.reason, until=until)
