"""Housekeeping: runs of dead nodes and of ended pauses go on, cancelled calls are ended, old rows are pruned."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from gateway.core.errors import Unavailable
from gateway.core.outcome import Lost
from gateway.runtime import observe, tracing
from gateway.runtime.chain import announcement
from gateway.runtime.dispatcher import Dispatcher
from gateway.runtime.pausing import Pausing
from gateway.runtime.snapshot import Current
from gateway.runtime.ticks import following
from gateway.store.claim import ClaimedRun
from gateway.store.database import Database
from gateway.store.lapse import Lapsing, has_expired_runs, lapse
from gateway.store.leases import cancelled_runs, lost_runs
from gateway.store.prune import Cutoff, Sweep, prune
from gateway.store.settle import Attempted, settle_attempts
from gateway.store.wal import shorten_log
from gateway.targets.base import Settings

log = structlog.get_logger(__name__)

LOOK_EVERY = 1.0
PRUNE_EVERY = 600.0
SHORTEN_EVERY = 10.0

Duty = Callable[[], Awaitable[None]]


class Janitor:
    """Looks every second for what nobody else would notice."""

    def __init__(self, database: Database, current: Current, dispatcher: Dispatcher, pausing: Pausing) -> None:
        self._database = database
        self._current = current
        self._dispatcher = dispatcher
        self._duties = (
            self.recover,
            self.expire,
            pausing.tidy,
            self.break_off,
            _Seldom(self.prune, PRUNE_EVERY),
            _Seldom(partial(shorten_log, database), SHORTEN_EVERY),
        )

    async def run(self) -> None:
        """Goes on for ever; a database that is away is waited for."""
        while True:
            try:
                for duty in self._duties:
                    await self._carry_out(duty)
            except Unavailable as error:
                log.warning("janitor.waiting", reason=error.detail)
            await asyncio.sleep(LOOK_EVERY)

    async def _carry_out(self, duty: Duty) -> None:
        """One row that cannot be tidied up keeps neither calls nor other duties from going on. Raises `Unavailable`."""
        try:
            await duty()
        except Unavailable:
            raise
        except Exception:
            log.exception("janitor.failed")

    async def recover(self) -> None:
        """Makes the runs of nodes without a lease due again."""
        await asyncio.gather(*[self._recover(run) for run in await lost_runs(self._database)])

    async def _recover(self, run: ClaimedRun) -> None:
        """Only a node that knows the target knows whether what was lost may be repeated; cancelled runs never are."""
        snapshot = self._current.snapshot
        target = snapshot.targets.get(run.target)
        if target is None and not run.cancelling:
            return
        settings = target.settings if target else Settings(kind="")
        attempted = Attempted(
            run=run,
            outcome=Lost(),
            log=None,
            node=run.node_id,
            finished_at=self._database.now(),
            retry=settings.retry,
            repeat_lost=settings.on_lost == "repeat",
            limits=snapshot.limits,
            announcer=announcement(snapshot),
            follow=following(snapshot, self._database.now()),
        )
        ended = await self._database.commit(settle_attempts, attempted)
        if ended:
            observe.settled(attempted, ended)
            tracing.settled(attempted, ended, self._database.now())
            log.warning("run.lost", run_id=run.id, target=run.target, attempt=run.attempt, state=ended.state)
            self._dispatcher.wake([run.target])

    async def expire(self) -> None:
        """Cancels what has not been started in time."""
        if await has_expired_runs(self._database):
            snapshot = self._current.snapshot
            lapsing = Lapsing(limits=snapshot.limits, announcer=announcement(snapshot))
            await self._database.commit(lapse, lapsing)

    async def break_off(self) -> None:
        """Ends the calls of runs that were cancelled through another node."""
        self._dispatcher.cancel(await cancelled_runs(self._database, self._dispatcher.node_id))

    async def prune(self) -> None:
        """Deletes what is older than `retention` says, batch by batch, between which others commit."""
        now, keep = self._database.now(), self._current.snapshot.retention
        cutoff = Cutoff(events_before=now - keep.events, runs_before=now - keep.runs, audit_before=now - keep.audit)
        sweep: Sweep | None = Sweep(cutoff=cutoff)
        while sweep:
            sweep = await self._database.commit(prune, sweep)


class _Seldom:
    """A duty that need not be looked to each time."""

    def __init__(self, duty: Duty, every: float) -> None:
        self._duty = duty
        self._every = every
        self._due = time.monotonic() + every

    async def __call__(self) -> None:
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + self._every
            await self._duty()
