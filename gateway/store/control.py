"""What people do to runs: cancel and retry; a transaction each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection, select, union_all, update

from gateway.core.errors import Conflict, NotFound
from gateway.core.once import Until
from gateway.core.request import Decision, Priority, Request, Verb
from gateway.core.run import FINAL, Move, State, after
from gateway.store.announce import Announcer, End, announce
from gateway.store.claim import HOLDS_LEASE
from gateway.store.counts import Count, count, end_of
from gateway.store.database import notify
from gateway.store.enqueue import Enqueuing
from gateway.store.lanes import LaneLimits, lock_targets
from gateway.store.release import Releasing
from gateway.store.requested import Cargo
from gateway.store.schema import nodes, run_events, runs
from gateway.store.writer import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """Who cancels a run, and why."""

    run_id: str
    reason: str
    limits: LaneLimits = field(default_factory=dict)
    announcer: Announcer | None = None
    counted: str = State.CANCELLED


def cancel_runs(work: Work, cancellations: Sequence[Cancellation]) -> list[State | NotFound | Conflict]:
    """The state of each run after it; one in progress stays running until its node has ended the call."""
    lock_runs(work, [wanted.run_id for wanted in cancellations])
    return [_cancel(work, wanted) for wanted in cancellations]


def lock_runs(work: Work, run_ids: Sequence[str]) -> None:
    """Locks runs and everything that they touch, in order, before they are looked at one by one."""
    if not run_ids:
        return
    place = select(runs.c.target, runs.c.key, runs.c.lane).where(runs.c.id.in_(run_ids))
    places = work.connection.execute(place).all()
    lock_targets(work.connection, (row.target for row in places if row.lane is not None))
    Releasing.lock(work, run_ids, [(row.target, row.key) for row in places if row.key is not None])


def _cancel(work: Work, wanted: Cancellation) -> State | NotFound | Conflict:
    connection = work.connection
    key = connection.execute(select(runs.c.target, runs.c.key).where(runs.c.id == wanted.run_id)).one_or_none()
    if key is None:
        return NotFound(f"there is no run {wanted.run_id}")
    releasing = Releasing.lock(work, [wanted.run_id], [] if key[1] is None else [key])
    row = releasing.runs[wanted.run_id]
    state = State(row.state)
    if state in FINAL:
        return state if state is State.CANCELLED else Conflict(f"the run has {state} already")
    mine = update(runs).where(runs.c.id == row.id)
    if state is State.RUNNING:
        connection.execute(mine.values(cancelling=True, reason=wanted.reason))
        notify(connection, orjson.dumps({"cancel": row.id}).decode())
        return state
    if row.following and _is_served(connection, row.target):  # its next attempt cancels the job, and that ends it
        connection.execute(mine.values(cancelling=True, reason=wanted.reason, due_at=work.now))
        notify(connection, orjson.dumps([row.target]).decode())
        return state
    releasing.leave(row, Move.CANCEL)
    final = after(state, Move.CANCEL)
    connection.execute(
        mine.values(state=final, claimable=False, behind=None, reason=wanted.reason, finished_at=work.now)
    )
    releasing.write(wanted.limits)
    count(work, [end_of(wanted.counted, row.trigger, row.target)])
    if wanted.announcer:
        run = connection.execute(select(runs).where(runs.c.id == row.id)).one()
        announce(work, [(wanted.announcer, End(run=run, state=final, ended_at=work.now, reason=wanted.reason))])
    return final


def _is_served(connection: Connection, target: str) -> bool:
    """Whether there is a node that knows the target."""
    served = connection.scalars(select(nodes.c.targets).where(HOLDS_LEASE))
    return any(target in orjson.loads(of_node) for of_node in served)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """A retry by hand: a new run with the key, payload and events of an old one, linked to it."""

    run_id: str
    requested_by: str
    new_run_id: str
    limits: LaneLimits = field(default_factory=dict)


def repeat_runs(work: Work, repetitions: Sequence[Repetition]) -> list[Decision | NotFound | Conflict]:
    """For each the decision about its new run."""
    wanted = {repetition.new_run_id: repetition.run_id for repetition in repetitions}
    rows = work.connection.execute(select(runs).where(runs.c.id.in_({*wanted, *wanted.values()})))
    repeating = _Repeating(work, {row.id: row for row in rows})
    repeating.lock(repetitions)
    decisions = [repeating.repeat(repetition) for repetition in repetitions]
    repeating.enqueuing.write()
    notify(work.connection, orjson.dumps(sorted({row.target for row in repeating.known.values()})).decode())
    return decisions


@dataclass(slots=True)
class _Repeating:
    work: Work
    known: dict[str, Any]
    enqueuing: Enqueuing = field(init=False)
    _requests: dict[str, Request] = field(default_factory=dict)
    _events: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.enqueuing = Enqueuing(self.work)

    def lock(self, repetitions: Sequence[Repetition]) -> None:
        for wanted in repetitions:
            self.enqueuing.limits.update(wanted.limits)
            if old := self.known.get(wanted.run_id):
                self._requests[wanted.new_run_id] = _request_again(old, wanted)
        self.enqueuing.lock(list(self._requests.values()))
        holders = {holder for request in self._requests.values() if (holder := self.enqueuing.holder_of(request))}
        self._events = _events_of(self.work.connection, {*self.known, *holders})
        self.enqueuing.linked = {(holder, event) for holder in holders for event in self._events[holder]}

    def repeat(self, wanted: Repetition) -> Decision | NotFound | Conflict:
        old, again = self.known.get(wanted.run_id), self.known.get(wanted.new_run_id)
        if old is None:
            return NotFound(f"there is no run {wanted.run_id}")
        if State(old.state) not in FINAL:
            return Conflict(f"the run is {old.state}: only a finished one can be retried")
        if again is not None:  # a commit of unknown fate had made it after all
            return Decision(trigger=old.trigger, decision=Verb.ENQUEUED, run_id=again.id)
        cargo = Cargo(
            source="api",
            event_ids=tuple(sorted(self._events[old.id])),
            size=old.size,
            origin_event_id=old.origin_event_id,
            depth=old.depth,
            traceparent=old.traceparent,
        )
        decision = self.enqueuing.enqueue(self._requests[wanted.new_run_id], cargo)
        by_hand = Count(what=decision.decision, source=cargo.source, trigger=old.trigger or "", target=old.target)
        count(self.work, [by_hand])
        return decision


def _request_again(old: Any, wanted: Repetition) -> Request:
    """A job that failed may be resumed, and one that may go on is followed: neither is started a second time."""
    leaves_a_job = old.following or old.state == State.FAILED
    return Request(
        run_id=wanted.new_run_id,
        target=old.target,
        payload=old.payload,
        trigger=old.trigger,
        schedule=old.schedule,
        key=old.key,
        until=None if old.key is None else Until.STARTED,
        priority=Priority.HIGH,
        lane=old.lane,
        requested_by=wanted.requested_by,
        retried_from=old.id,
        handle=old.handle if leaves_a_job else None,
        following=old.following,
    )


def _events_of(connection: Connection, run_ids: set[str]) -> dict[str, set[str]]:
    """The ids of the events of each of these runs."""
    first = select(runs.c.id, runs.c.event_id).where(runs.c.id.in_(run_ids), runs.c.event_id.is_not(None))
    merged = select(run_events).where(run_events.c.run_id.in_(run_ids))
    found: dict[str, set[str]] = {run_id: set() for run_id in run_ids}
    for run_id, event_id in connection.execute(union_all(first, merged)):
        found[run_id].add(event_id)
    return found
