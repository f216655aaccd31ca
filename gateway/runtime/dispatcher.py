"""The dispatcher: claims due runs for free slots and carries them out, until it is told to stop.

It is woken by whatever may have made a run due; looking at all targets once a second is only the safety net.
"""

import asyncio
import contextlib
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from gateway.core.errors import Unavailable
from gateway.core.outcome import BrokenOff, Cancelled, Outcome, RetryableFailure
from gateway.runtime import observe, tracing
from gateway.runtime.attempt import Attempt
from gateway.runtime.chain import announcement
from gateway.runtime.lease import Lease
from gateway.runtime.snapshot import Current, Snapshot
from gateway.runtime.ticks import following
from gateway.store.aside import Passing, put_aside
from gateway.store.claim import Claim, ClaimedRun, claim, next_due
from gateway.store.database import Database
from gateway.store.lapse import Lapsing, lapse
from gateway.store.settle import Attempted, Ended, Job, settle_attempts

log = structlog.get_logger(__name__)

LOOK_EVERY = timedelta(seconds=1)
LAST_CLAIM = 1.0  # seconds that a claim under way at the shutdown may take
LAST_WORDS = 10.0  # seconds that broken-off calls may take to end well
AT_ONCE = 2.0  # seconds that they take when told again
SETTLE_AGAIN_AFTER = 1.0
UNSTORABLE = RetryableFailure(reason="what came of it could not be stored; the gateway's log has the details")
"""Left as it is, a run whose end cannot be stored would be called again, and again, without any end."""


class Dispatcher:
    """Runs attempts on this node, at most `server.slots` at once."""

    def __init__(self, database: Database, current: Current, lease: Lease) -> None:
        self._database = database
        self._current = current
        self._lease = lease
        self._woken: dict[str, None] = {}  # a set that keeps its order: who waits longest for a slot asks first
        self._wake = asyncio.Event()
        self._due: dict[str, datetime] = {}
        self._attempts: dict[tuple[str, int], Attempt] = {}  # one that is late in ending may meet its successor
        self._asked_for = 0  # slots that claims under way may fill
        self._tasks: set[asyncio.Task[None]] = set()
        self._claiming = True
        self._ended = asyncio.Event()
        self._ended.set()
        lease.on_lost(self.abandon)

    def wake(self, targets: Iterable[str]) -> None:
        """Says that runs of these targets may have become due, or slots free."""
        self._woken.update(dict.fromkeys(targets))
        self._wake.set()

    @property
    def node_id(self) -> str:
        return self._lease.node.id

    @property
    def attempts(self) -> Collection[Attempt]:
        """Those in progress."""
        return self._attempts.values()

    @property
    def running(self) -> int:
        return len(self._attempts)

    @property
    def _free(self) -> int:
        return self._current.snapshot.server.slots - len(self._attempts) - self._asked_for

    async def run(self) -> None:
        """Dispatches until `drain`."""
        self._ended.clear()
        try:
            await self._run()
        finally:
            self._ended.set()

    async def _run(self) -> None:
        looked = self._database.now() - LOOK_EVERY
        while self._claiming:
            now = self._database.now()
            woken, self._woken = self._woken, {}
            self._wake.clear()
            try:
                if now >= looked + LOOK_EVERY or now < looked:
                    looked = now
                    await self._look(self._current.snapshot.local_targets)
                due = [name for name, due_at in self._due.items() if due_at <= now]
                await self._claim_all(woken | dict.fromkeys(due))
            except Unavailable as error:
                log.warning("dispatcher.waiting", reason=error.detail)
                await asyncio.sleep(1)
            await self._sleep(until=min([looked + LOOK_EVERY, *self._due.values()]))

    async def drain(self, grace: timedelta) -> None:
        """Claims nothing more, lets attempts end within `grace`, then breaks off the rest, which are due again."""
        self._claiming = False
        self._wake.set()
        self._hand_over()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), LAST_CLAIM)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace.total_seconds())
        for patience in (LAST_WORDS, AT_ONCE):
            for attempt in self._attempts.values():
                attempt.stop(BrokenOff())
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=patience)

    def _hand_over(self) -> None:
        """Jobs go on without us; another node, or this one when it is back, follows them."""
        for attempt in self._attempts.values():
            if attempt.following:
                attempt.stop(BrokenOff(reason="the gateway shut down; its job goes on and is followed"))

    async def finish(self) -> None:
        """Waits until all attempts that are in progress now have ended."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def abandon(self) -> None:
        """Ends all calls at once: the lease is over, and another node may begin them again."""
        for attempt in self._attempts.values():
            attempt.stop(BrokenOff(reason="this node's lease is over"), at_once=True)

    def cancel(self, run_ids: Iterable[str]) -> None:
        """Ends the calls of cancelled runs, where they are this node's."""
        cancelled = set(run_ids)
        for attempt in self._attempts.values():
            if attempt.run_id in cancelled and not attempt.cancelling:
                attempt.stop(Cancelled())

    async def _sleep(self, until: datetime) -> None:
        seconds = (until - self._database.now()).total_seconds()
        if seconds > 0 and not self._wake.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _look(self, names: Iterable[str]) -> None:
        """Learns when the next run of each of these targets is due."""
        async with self._database.read() as connection:
            due = await next_due(connection, list(names))
        for name in names:
            self._due.pop(name, None)
        self._due.update(due)

    async def _claim_all(self, names: Collection[str]) -> None:
        snapshot = self._current.snapshot
        local = set(names).intersection(snapshot.local_targets)
        local -= snapshot.held(local, self._database.now()).keys()
        wanted = [name for name in names if name in local]
        for name in names:
            self._due.pop(name, None)
        results = await asyncio.gather(*(self._claim(name, snapshot) for name in wanted))
        if unsaturated := [name for name, saturated in zip(wanted, results, strict=True) if not saturated]:
            await self._look_ahead(unsaturated)
        if self._woken and self._free > 0:
            self._wake.set()

    async def _look_ahead(self, names: list[str]) -> None:
        """When to come back to targets that had fewer due runs than slots.

        What is due by then and was not to be had is paused, not to be started any more, or somebody else's.
        """
        await self._look(names)
        now = self._database.now()
        late = [name for name in names if (due_at := self._due.get(name)) and due_at <= now]
        moved = await asyncio.gather(*(self._clear(name) for name in late))
        self._due.update((name, now if count else now + LOOK_EVERY) for name, count in zip(late, moved, strict=True))

    async def _clear(self, name: str) -> int:
        """Takes what a claim passes over out of its way; how many runs that were."""
        snapshot, commit = self._current.snapshot, self._database.commit
        lapsing = Lapsing(target=name, limits=snapshot.limits, announcer=announcement(snapshot))
        passing = Passing(target=name, limits=snapshot.limits)
        return sum(await asyncio.gather(commit(lapse, lapsing), commit(put_aside, passing)))

    async def _claim(self, name: str, snapshot: Snapshot) -> bool:
        """Claims and starts what is due; whether the target, or this node, has no slot left."""
        settings = snapshot.targets[name].settings
        slots = min(self._free, settings.limit)
        if not self._lease.is_valid:
            return True
        if slots <= 0:
            self._woken[name] = None
            return True
        executing = frozenset(attempt.run_id for attempt in self._attempts.values() if attempt.run.target == name)
        wanted = Claim(
            node_id=self._lease.node.id,
            target=name,
            limit=settings.limit,
            slots=slots,
            rate=settings.rate,
            executing=executing,
        )
        self._asked_for += slots
        try:
            claimed = await self._database.commit(claim, wanted)
        finally:
            self._asked_for -= slots
        for run in claimed:
            self._start(run, snapshot)
        return len(claimed) >= slots

    def _start(self, run: ClaimedRun, claimed_by: Snapshot) -> None:
        if (run.id, run.attempt) in self._attempts:
            return
        is_known = run.target in self._current.snapshot.targets
        attempt = Attempt(run, self._current.snapshot if is_known else claimed_by, self._database)
        if not is_known:
            attempt.stop(BrokenOff(reason="its target was removed from the configuration"))
        self._attempts[run.id, run.attempt] = attempt
        task = asyncio.create_task(self._carry_out(attempt), name=f"run {run.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, attempt: Attempt) -> None:
        run = attempt.run
        try:
            outcome = await attempt.perform()
            await self._settle(attempt, outcome)
        finally:
            del self._attempts[run.id, run.attempt]
            self.wake([run.target])

    async def _settle(self, attempt: Attempt, outcome: Outcome) -> None:
        run, settings, snapshot = attempt.run, attempt.settings, self._current.snapshot
        is_known = run.target in snapshot.targets
        attempted = Attempted(
            run=run,
            outcome=outcome,
            log=str(attempt.tail),
            dropped=attempt.tail.dropped,
            is_live=attempt.is_live,
            progress=attempt.latest_progress,
            job=Job(handle=attempt.handle, following=attempt.following),
            node=self._lease.node.name,
            finished_at=self._database.now(),
            retry=settings.retry,
            breaker=settings.breaker,
            repeat_lost=settings.on_lost == "repeat",
            limits=snapshot.limits if is_known else attempt.snapshot.limits,
            announcer=announcement(snapshot),
            follow=following(snapshot, self._database.now()),
        )
        while self._lease.is_valid:
            try:
                ended = await self._database.commit(settle_attempts, attempted)
            except Unavailable:
                await asyncio.sleep(SETTLE_AGAIN_AFTER)
                continue
            except Exception:
                log.exception("attempt.not_settled", run_id=run.id, target=run.target)
                attempted = replace(attempted, outcome=UNSTORABLE, log="", progress=None, job=None, announcer=None)
                await asyncio.sleep(SETTLE_AGAIN_AFTER)
                continue
            tracing.settled(attempted, ended, self._database.now())
            if ended:
                self.wake(ended.requested)
            _report(attempted, ended)
            return


def _report(attempted: Attempted, ended: Ended | None) -> None:
    if ended:
        observe.settled(attempted, ended)
    run, reason = attempted.run, ended.settlement.reason if ended else attempted.outcome.reason
    fields = {"run_id": run.id, "target": run.target, "attempt": run.attempt, "reason": reason}
    if ended is None:
        log.warning("attempt.fenced", **fields)
    elif ended.state == "succeeded":
        log.info("run.succeeded", **fields)
    else:
        log.info("run.not_succeeded", state=ended.state, **fields)
