"""Claim: due runs of a target become this node's, as many as there are free slots; one transaction.

The target's row is locked first. It says whether the target is paused, its breaker open or its rate used up, and
whoever holds it is the only one who counts the running runs and adds to them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.rate import Pace, RequestRate
from gateway.core.request import Priority
from gateway.core.run import CLAIMABLE, Move, State, after
from gateway.store.clock import database_now
from gateway.store.pause import is_paused
from gateway.store.pauses import EVERYTHING, NO_PAUSES, Pauses, in_force, is_of
from gateway.store.schema import Timestamp, is_claimable, is_running, nodes, pauses, runs, targets
from gateway.store.writer import Work

_CLAIMED = after(State.QUEUED, Move.CLAIM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a node asks for: so many runs of a target that allows `limit` at once over all nodes.

    For each target a node asks once at a time.
    `executing` are the runs of the target that the node knows of; others that the table calls its own were claimed by a
    commit whose fate the node never learned, were never called, and are handed out again.
    """

    node_id: str
    target: str
    limit: int
    slots: int
    rate: RequestRate | None = None
    executing: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedRun:
    """A run that is this node's to carry out. Payload and events are frozen from here on."""

    id: str
    target: str
    trigger: str | None
    schedule: str | None
    key: str | None
    lane: str | None
    priority: int
    payload: bytes
    attempt: int
    failures: int
    losses: int
    created_at: datetime
    due_at: datetime
    started_at: datetime
    attempt_started_at: datetime
    node_id: str
    event_id: str | None
    events: int
    origin_event_id: str | None
    depth: int
    requested_by: str | None
    retried_from: str | None
    cancelling: bool
    handle: bytes | None
    following: bool
    traceparent: str | None


_COLUMNS = tuple(runs.c[name] for name in ClaimedRun.__slots__)


_NOW = bindparam("now", type_=Timestamp())
_FREE = bindparam("free", type_=Integer())
_OF_TARGET = runs.c.target == bindparam("of_target")
_recent = runs.alias("recent")
has_expired = runs.c.expires_at <= _NOW
is_fresh = runs.c.fresh_for.is_not(None) & exists(
    select(_recent.c.id).where(
        _recent.c.target == runs.c.target,
        _recent.c.key == runs.c.key,
        _recent.c.state == literal_column(f"'{State.SUCCEEDED}'"),
        _recent.c.started_at > _NOW - runs.c.fresh_for,
    )
)
may_start = or_(runs.c.expires_at.is_(None), runs.c.expires_at > _NOW) & ~is_fresh
"""Nothing is started that has come to nothing: `lapse` cancels it."""


def first_due() -> Any:
    """The ids that go first; a range of the claim index for each priority, as one over both would not end at `now`."""
    candidates = [
        select(runs.c.id, runs.c.priority, runs.c.due_at)
        .where(is_claimable, _OF_TARGET, _has(priority), runs.c.due_at <= _NOW, may_start)
        .order_by(runs.c.due_at, runs.c.id)
        .limit(_FREE)
        .subquery()
        for priority in Priority
    ]
    due = union_all(*(select(candidate) for candidate in candidates)).subquery()
    return select(due.c.id).order_by(due.c.priority, due.c.due_at, due.c.id).limit(_FREE).scalar_subquery()


def _has(priority: Priority) -> Any:
    return runs.c.priority == literal_column(str(priority.value))


def _taking(*conditions: Any) -> Any:
    # locked in the order in which everybody locks runs; what changed while its lock was waited for is looked at again
    still_due = runs.c.state.in_([*CLAIMABLE]) & (runs.c.due_at <= _NOW)
    first = select(runs.c.id).where(runs.c.id.in_(first_due()), still_due, *conditions)
    locked = first.order_by(runs.c.id).with_for_update().cte("locked")
    values = {
        "state": _CLAIMED,
        "claimable": False,
        "node_id": bindparam("by_node"),
        "attempt": runs.c.attempt + 1,
        "started_at": func.coalesce(runs.c.started_at, _NOW),
        "waited": runs.c.waited + case((runs.c.started_at.is_not(None), _NOW - runs.c.due_at), else_=0),
        "attempt_started_at": _NOW,
        "expires_at": None,  # what has been started is carried through
        "fresh_for": None,
        "progress": None,
    }
    return update(runs).where(runs.c.id.in_(select(locked.c.id))).values(values).returning(*_COLUMNS)


_TAKE = _taking()
_TAKE_OTHERS = _taking(runs.c.id.not_in(bindparam("held", expanding=True)))
_CANDIDATES = select(runs.c.id, runs.c.target, runs.c.key, runs.c.origins, runs.c.following).where(
    runs.c.id.in_(first_due())
)
_any_paused = exists(select(pauses.c.kind)).label("any_paused")
_LOCK_TARGET = select(targets, _any_paused).where(targets.c.name == bindparam("of_target")).with_for_update()
_IN_PROGRESS = union_all(
    select(runs.c.id, runs.c.state, runs.c.node_id).where(is_running, _OF_TARGET),
    # their jobs go on; those that are due go first anyway
    select(runs.c.id, runs.c.state, runs.c.node_id).where(
        is_claimable, _OF_TARGET, _has(Priority.FOLLOWING), runs.c.due_at > _NOW
    ),
)
HOLDS_LEASE = or_(nodes.c.lease_until.is_(None), nodes.c.lease_until > database_now())
_LEASE = select(nodes.c.id).where(nodes.c.id == bindparam("by_node"), HOLDS_LEASE)


def claim(work: Work, claims: Sequence[Claim]) -> list[list[ClaimedRun]]:
    """For each claim the runs that became the node's, in the order in which they shall start."""
    in_lock_order = sorted(claims, key=lambda wanted: wanted.target)
    claimed = {id(wanted): _claim(work, wanted) for wanted in in_lock_order}
    return [claimed[id(wanted)] for wanted in claims]


def _claim(work: Work, wanted: Claim) -> list[ClaimedRun]:
    connection = work.connection
    of_target = {"of_target": wanted.target}
    target = connection.execute(_LOCK_TARGET, of_target).one_or_none()
    if target is None or connection.scalar(_LEASE, {"by_node": wanted.node_id}) is None:
        return []
    in_progress = connection.execute(_IN_PROGRESS, {**of_target, "now": work.now}).all()
    running = [row for row in in_progress if row.state == State.RUNNING]
    mine = {row.id for row in running if row.node_id == wanted.node_id}
    orphans = _find(connection, mine - wanted.executing)
    free = min(wanted.slots - len(orphans), wanted.limit - len(in_progress))
    if target.open_until is not None:  # where its breaker lets one call probe, that is all
        free = min(free, int(target.open_until <= work.now) - len(running))
    return orphans + (_take(work, wanted, target, free) if free > 0 and not is_paused(target, work.now) else [])


def _take(work: Work, wanted: Claim, target: Any, free: int) -> list[ClaimedRun]:
    paused = in_force(work.connection, work.now) if target.any_paused else NO_PAUSES
    if paused.of_everything is not None:
        return []
    allowed = free if wanted.rate is None else min(free, Pace(wanted.rate, target.next_call_at).allowed(work.now))
    taken = _take_first(work, wanted, allowed, paused) if allowed else []
    _keep_pace(work, wanted, target, len(taken))
    return taken


def _take_first(work: Work, wanted: Claim, count: int, paused: Pauses) -> list[ClaimedRun]:
    """Those first in turn that nothing holds; the others are put aside by whoever finds that they are late."""
    given = {"of_target": wanted.target, "by_node": wanted.node_id, "now": work.now, "free": count}
    if not paused.rows:
        return _in_order(work.connection.execute(_TAKE, given))
    held = [run.id for run in work.connection.execute(_CANDIDATES, given) if paused.holding(run)]
    return _in_order(work.connection.execute(_TAKE_OTHERS, given | {"held": held}))


def _keep_pace(work: Work, wanted: Claim, target: Any, calls: int) -> None:
    """A rate that was changed, or taken away, binds nobody for longer than it would by now."""
    before: datetime | None = target.next_call_at
    if not calls and (before is None or before <= work.now):
        return
    next_call_at = None if wanted.rate is None else Pace(wanted.rate, before).after(calls, work.now).next_call_at
    if next_call_at != before:
        mine = update(targets).where(targets.c.name == wanted.target)
        work.connection.execute(mine.values(next_call_at=next_call_at))


def _find(connection: Connection, run_ids: set[str]) -> list[ClaimedRun]:
    return _in_order(connection.execute(select(*_COLUMNS).where(runs.c.id.in_(run_ids)))) if run_ids else []


def _in_order(rows: Iterable[Any]) -> list[ClaimedRun]:
    claimed = [ClaimedRun(**row._mapping) for row in rows]  # noqa: SLF001 - the documented name
    return sorted(claimed, key=lambda run: (run.due_at, run.id))


async def next_due(connection: AsyncConnection, names: Sequence[str]) -> dict[str, datetime]:
    """For each of these targets that has runs to start, and is not paused for good: when it can start the next.

    Runs that are late by then are held by a pause, are not to be started any more, or are somebody else's.
    """
    of_runs = [
        select(func.min(runs.c.due_at))
        .where(is_claimable, runs.c.target == targets.c.name, runs.c.priority == priority)
        .scalar_subquery()
        for priority in Priority
    ]
    paused_for_good = targets.c.paused & targets.c.paused_until.is_(None)
    everything = pauses.c.kind.is_not(None) & pauses.c.paused_until.is_(None)
    query = select(targets, pauses.c.paused_until.label("all_until"), *of_runs).outerjoin(pauses, is_of(EVERYTHING))
    due = {}
    for row in await connection.execute(query.where(targets.c.name.in_(names), ~paused_for_good, ~everything)):
        run_due = [instant for instant in row[-len(of_runs) :] if instant is not None]
        floors = (row.paused_until if row.paused else None, row.all_until, row.open_until, row.next_call_at)
        if run_due:
            due[row.name] = max([min(run_due), *(instant for instant in floors if instant is not None)])
    return due
