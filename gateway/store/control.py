"""What people do to runs and targets: cancel, retry, pause, resume; a transaction each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.errors import Conflict, NotFound
from gateway.core.once import Until
from gateway.core.request import Decision, Priority, Request
from gateway.core.run import FINAL, Move, State, after
from gateway.store.database import notify
from gateway.store.enqueue import Cargo, Enqueuing
from gateway.store.lanes import LaneLimits, lock_targets
from gateway.store.release import Releasing
from gateway.store.schema import run_events, runs, targets
from gateway.store.writer import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """Who cancels a run, and why."""

    run_id: str
    reason: str
    limits: LaneLimits = field(default_factory=dict)


async def cancel_runs(work: Work, cancellations: Sequence[Cancellation]) -> list[State | NotFound | Conflict]:
    """The state of each run after it; one in progress stays running until its node has ended the call."""
    return [await _cancel(work, cancellation) for cancellation in cancellations]


async def _cancel(work: Work, wanted: Cancellation) -> State | NotFound | Conflict:
    connection = work.connection
    unlocked = (await connection.execute(select(runs).where(runs.c.id == wanted.run_id))).one_or_none()
    if unlocked is None:
        return NotFound(f"there is no run {wanted.run_id}")
    if unlocked.lane is not None:
        await lock_targets(connection, [unlocked.target])
    held = [(unlocked.target, unlocked.key)] if unlocked.key is not None else []
    releasing = await Releasing.lock(work, [wanted.run_id], held)
    row = releasing.runs[wanted.run_id]
    state = State(row.state)
    if state in FINAL:
        return state if state is State.CANCELLED else Conflict(f"the run has {state} already")
    mine = update(runs).where(runs.c.id == row.id)
    if state is State.RUNNING:
        await connection.execute(mine.values(cancelling=True, reason=wanted.reason))
        await notify(connection, orjson.dumps({"cancel": row.id}).decode())
        return state
    releasing.leave(row, Move.CANCEL)
    final = after(state, Move.CANCEL)
    await connection.execute(
        mine.values(state=final, claimable=False, behind=None, reason=wanted.reason, finished_at=work.now)
    )
    await releasing.write(wanted.limits)
    return final


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """A retry by hand: a new run with the key, payload and events of an old one, linked to it."""

    run_id: str
    requested_by: str
    new_run_id: str
    limits: LaneLimits = field(default_factory=dict)


async def repeat_runs(work: Work, repetitions: Sequence[Repetition]) -> list[Decision | NotFound | Conflict]:
    """For each the decision about its new run."""
    return [await _repeat(work, repetition) for repetition in repetitions]


async def _repeat(work: Work, wanted: Repetition) -> Decision | NotFound | Conflict:
    connection = work.connection
    old = (await connection.execute(select(runs).where(runs.c.id == wanted.run_id))).one_or_none()
    if old is None:
        return NotFound(f"there is no run {wanted.run_id}")
    if State(old.state) not in FINAL:
        return Conflict(f"the run is {old.state}: only a finished one can be retried")
    request = _request_again(old, wanted)
    enqueuing = Enqueuing(work, limits=dict(wanted.limits))
    await enqueuing.lock([request])
    if holder := enqueuing.holder_of(request):
        enqueuing.linked = {(holder, event_id) for event_id in await _events_of(connection, holder)}
    cargo = Cargo(
        event_ids=tuple(sorted(await _events_of(connection, old.id))),
        size=old.size,
        origin_event_id=old.origin_event_id,
        depth=old.depth,
    )
    decision = enqueuing.enqueue(request, cargo)
    await enqueuing.write()
    await notify(connection, orjson.dumps([old.target]).decode())
    return decision


def _request_again(old: Any, wanted: Repetition) -> Request:
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
    )


async def _events_of(connection: AsyncConnection, run_id: str) -> set[str]:
    merged = await connection.scalars(select(run_events.c.event_id).where(run_events.c.run_id == run_id))
    first = await connection.scalars(select(runs.c.event_id).where(runs.c.id == run_id, runs.c.event_id.is_not(None)))
    return {*merged, *first}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Stops the calls of a target until somebody resumes it, or `until`; its requests queue and merge meanwhile."""

    target: str
    by: str
    reason: str | None = None
    lasting: timedelta | None = None


async def pause_targets(work: Work, pauses: Sequence[Pause]) -> list[datetime | None]:
    """Until when each is paused, where it ends by itself."""
    ends: list[datetime | None] = []
    for pause in pauses:
        until = work.now + pause.lasting if pause.lasting else None
        values = {"paused": True, "paused_until": until, "paused_by": pause.by, "pause_reason": pause.reason}
        await work.connection.execute(update(targets).where(targets.c.name == pause.target).values(values))
        ends.append(until)
    return ends


async def resume_targets(work: Work, names: Sequence[str]) -> list[None]:
    """Ends pauses by hand, and closes the breaker: whoever resumes wants to see a call."""
    values: Mapping[str, Any] = {
        "paused": False,
        "paused_until": None,
        "paused_by": None,
        "pause_reason": None,
        "breaker_failures": 0,
        "breaker_pause": None,
        "open_until": None,
    }
    await work.connection.execute(update(targets).where(targets.c.name.in_(sorted(names))).values(values))
    await notify(work.connection, orjson.dumps(sorted(names)).decode())
    return [None for _ in names]
