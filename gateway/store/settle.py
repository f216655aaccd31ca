"""Settle: what an attempt did to its run, its key, the runs behind it and its target's breaker; one transaction.

Fenced on run, node and attempt: a node that lost its lease overwrites nothing. The locks are taken in the order that
holds everywhere: targets, keys, runs.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson

from gateway.core.breaker import Breaker
from gateway.core.outcome import Outcome, PermanentFailure, RetryableFailure, Succeeded
from gateway.core.progress import Progress
from gateway.core.request import Priority
from gateway.core.retry import Retry
from gateway.core.run import FINAL, Move, State, after
from gateway.core.settle import Settlement, Tried, settle
from gateway.store.announce import Announcer, End, announce
from gateway.store.breakers import Breakers, to_be_closed, write_breakers
from gateway.store.bulk import insert_rows, update_runs
from gateway.store.claim import ClaimedRun
from gateway.store.continuous import Follow, go_on, lock_continuous
from gateway.store.counts import count, end_of
from gateway.store.database import notify
from gateway.store.lanes import LaneLimits, lock_targets
from gateway.store.live import forget, recall, write_progress
from gateway.store.release import Releasing
from gateway.store.schema import attempts
from gateway.store.writer import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run as its attempt left it."""

    run: ClaimedRun
    state: State
    outcome: Outcome
    settlement: Settlement
    ended_at: datetime
    handle: bytes | None = None
    following: bool = False
    superseded_by: str | None = None
    log: str = ""
    dropped: int = 0
    requested: frozenset[str] = frozenset()
    """The targets of which something was requested in the same transaction."""

    @property
    def end(self) -> End:
        return End(
            run=self.run,
            state=self.state,
            ended_at=self.ended_at,
            reason=self.settlement.reason,
            output=self.settlement.output,
            log=self.log,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a run has started at its target, and whether that is not known to have ended."""

    handle: Mapping[str, Any] | None = None
    following: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """An attempt that has ended, and the policies that say what this means."""

    run: ClaimedRun
    outcome: Outcome
    log: str | None = ""
    """`None` where nobody can say: then it is what was kept while the attempt lasted."""
    dropped: int = 0
    """Lines of the log that came before it."""
    is_live: bool = False
    """Whether something was kept of it while it lasted."""
    progress: Progress | None = None
    """How far it came, as far as it told."""
    job: Job | None = None
    """`None` where nobody can say: then it is as it was stored."""
    node: str | None
    finished_at: datetime
    retry: Retry = field(default_factory=Retry)
    breaker: Breaker = field(default_factory=Breaker)
    repeat_lost: bool = True
    limits: LaneLimits = field(default_factory=dict)
    announcer: Announcer | None = None
    follow: Follow = lambda _: None


_OVER = FINAL - {State.SUPERSEDED}  # what supersedes a run is for its schedule to wait for

_WRITTEN = (
    *("state", "claimable", "priority", "due_at", "finished_at", "failures", "losses"),
    *("reason", "output", "superseded_by", "handle", "following"),
)


def settle_attempts(work: Work, attempted: Sequence[Attempted]) -> list[Ended | None]:
    """How each run ended its attempt; `None` where the fence held, because the run was not the node's any more."""
    continuing = lock_continuous(work, [one.run.schedule for one in attempted])
    locked = _lock_targets(work, attempted)
    held = [(one.run.target, one.run.key) for one in attempted if one.run.key is not None]
    releasing = Releasing.lock(work, [one.run.id for one in attempted], held)
    results = [_settle(work, one, releasing) for one in attempted]
    ended = [(one, result) for one, result in zip(attempted, results, strict=True) if result is not None]
    _write_runs(work, [result for _, result in ended])
    _write_attempts(work, ended)
    releasing.write({name: limit for one in attempted for name, limit in one.limits.items()})
    breakers = write_breakers(work, [one for one, _ in ended], locked)
    final = [result for _, result in ended if result.state in FINAL]
    count(work, [end_of(result.state, result.run.trigger, result.run.target) for result in final])
    requested = _tell(work, ended, breakers)
    over = [(one, result) for one, result in ended if result.state in _OVER]
    followed = [(one, result) for one, result in over if one.run.id in continuing]
    go_on(work, [(continuing[one.run.id], result.state, one.follow) for one, result in followed])
    if ended:
        woken = requested.union(one.run.target for one, _ in ended)
        notify(work.connection, orjson.dumps(sorted(woken)).decode())
    return [result and replace(result, requested=requested) for result in results] if requested else results


def _tell(work: Work, ended: Sequence[tuple[Attempted, Ended]], breakers: Breakers) -> frozenset[str]:
    """Of runs that are over, and of calls that have probed their targets in vain."""
    probes = {one.run.id for one, _ in ended if one.run.target in breakers.probed and _has_failed(one)}
    news = [(one, result) for one, result in ended if result.state in _OVER or one.run.id in probes]
    told = [(one.announcer, result.end) for one, result in news if one.announcer]
    return announce(work, told, breakers.turned, breakers.open)


def _lock_targets(work: Work, attempted: Sequence[Attempted]) -> set[str]:
    """Those whose lanes or breakers may change."""
    changing = {one.run.target for one in attempted if one.run.lane is not None or _has_failed(one)}
    reached = {one.run.target for one in attempted if isinstance(one.outcome, Succeeded)}
    locked = changing | to_be_closed(work, reached - changing)
    lock_targets(work.connection, locked)
    return locked


def _has_failed(one: Attempted) -> bool:
    return isinstance(one.outcome, RetryableFailure | PermanentFailure)


def _settle(work: Work, one: Attempted, releasing: Releasing) -> Ended | None:
    row = releasing.runs.get(one.run.id)
    if row is None or (row.state, row.node_id, row.attempt) != (State.RUNNING, one.run.node_id, one.run.attempt):
        return None
    del releasing.runs[row.id]  # the same attempt may have been handed in twice
    handle, following = _job(one, row)
    tried = Tried(
        failures=row.failures,
        losses=row.losses,
        started_at=row.started_at,
        waited=row.waited,
        cancelling=row.cancelling,
        following=following,
    )
    settlement = settle(  # a job that goes on is followed: that calls nothing twice
        tried,
        one.outcome,
        one.retry,
        work.now,
        random.random,  # noqa: TID251 - the core takes it from here
        repeat_lost=one.repeat_lost or following,
    )
    move, newer = releasing.leave(row, settlement.move, settlement.due_at, is_kept=following)
    if move is Move.CANCEL and row.reason:
        settlement = replace(settlement, reason=row.reason)
    if newer:
        settlement = replace(settlement, move=move, reason=f"{settlement.reason}; superseded by run {newer}")
    state = after(State.RUNNING, move)
    log, dropped = _log(work, one)
    return Ended(
        run=one.run,
        state=state,
        outcome=one.outcome,
        settlement=settlement,
        ended_at=work.now,
        handle=handle,
        following=following,
        superseded_by=newer,
        log=log,
        dropped=dropped,
    )


def _job(one: Attempted, row: Any) -> tuple[bytes | None, bool]:
    if one.job is None:
        return row.handle, row.following
    return None if one.job.handle is None else orjson.dumps(one.job.handle), one.job.following


def _log(work: Work, one: Attempted) -> tuple[str, int]:
    if one.log is not None:
        return one.log, one.dropped
    tail = recall(work, one.run.id, one.run.attempt)
    return str(tail), tail.dropped


def _write_runs(work: Work, ended: Sequence[Ended]) -> None:
    update_runs(work.connection, _WRITTEN, {one.run.id: _changes(one, work.now) for one in ended})


def _changes(ended: Ended, now: datetime) -> dict[str, Any]:
    settlement = ended.settlement
    is_final = ended.state in FINAL
    output = settlement.output
    return {
        "state": ended.state,
        "claimable": not is_final and ended.run.lane is None,
        "priority": Priority.FOLLOWING if ended.following else max(ended.run.priority, Priority.HIGH),
        "due_at": ended.run.due_at if is_final else settlement.due_at,
        "finished_at": now if is_final else None,
        "failures": settlement.failures,
        "losses": settlement.losses,
        "reason": settlement.reason,
        "output": None if output is None else orjson.dumps(output),
        "superseded_by": ended.superseded_by,
        "handle": ended.handle,
        "following": ended.following,
    }


def _write_attempts(work: Work, ended: Sequence[tuple[Attempted, Ended]]) -> None:
    if ended:
        rows = [
            {
                "run_id": one.run.id,
                "number": one.run.attempt,
                "node": one.node,
                "started_at": one.run.attempt_started_at,
                "finished_at": one.finished_at,
                "outcome": _OUTCOMES[type(one.outcome).__name__],
                "status": one.outcome.status,
                "reason": one.outcome.reason,
                "log": result.log,
                "dropped": result.dropped,
            }
            for one, result in ended
        ]
        insert_rows(work.connection, attempts, rows)
        forget(work, [(one.run.id, one.run.attempt) for one, _ in ended if one.is_live or one.log is None])
        write_progress(work, {one.run.id: one.progress for one, _ in ended if one.progress})


_OUTCOMES = {
    "Succeeded": "succeeded",
    "RetryableFailure": "failed",
    "PermanentFailure": "failed for good",
    "Lost": "lost",
    "BrokenOff": "broken off",
    "Cancelled": "cancelled",
}
