"""Continuous schedules: when a run of one ends, its next tick is made in the same transaction."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, exists, select, update

from gateway.core.run import State
from gateway.store.accept import Acceptance, accept
from gateway.store.bulk import select_rows
from gateway.store.database import Database
from gateway.store.pause import NOT_PAUSED
from gateway.store.schedules import StoredSchedule, lock_schedules
from gateway.store.schema import is_continuous, is_unfinished, runs, schedules
from gateway.store.writer import Work

Follow = Callable[[StoredSchedule], Acceptance | None]
"""The next tick of a continuous schedule, or `None` where that is for the leader to say; raises nothing."""

_CONTINUOUS = select(schedules.c.name).where(schedules.c.name.in_(bindparam("wanted", expanding=True)), is_continuous)


def lock_continuous(work: Work, names: Iterable[str | None]) -> dict[str, StoredSchedule]:
    """Those of these schedules that go on when a run ends, by that run; called before anything else is locked."""
    wanted = {name for name in names if name is not None}
    found = [row.name for row in select_rows(work.connection, _CONTINUOUS, wanted)]
    locked = lock_schedules(work.connection, found).values()
    return {one.last_run_id: one for one in locked if one.last_run_id and one.makes_ticks(work.now)}


def go_on(work: Work, ended: Sequence[tuple[StoredSchedule, State, Follow]]) -> None:
    """Makes the next ticks of schedules whose runs have ended in these states.

    A schedule that is not known here is left to the leader. A pause that was in force is over.
    """
    for schedule, state, follow in ended:
        counted = replace(schedule, failures=_failures(schedule, state))
        acceptance = follow(counted)
        values = {"next_at": work.now} if acceptance is None else _ticked(work, counted, acceptance)
        mine = update(schedules).where(schedules.c.name == schedule.name)
        work.connection.execute(mine.values({**NOT_PAUSED, "failures": counted.failures, **values}))


def _failures(schedule: StoredSchedule, state: State) -> int:
    """In a row; a run that was cancelled says nothing."""
    return {State.SUCCEEDED: 0, State.FAILED: schedule.failures + 1}.get(state, schedule.failures)


def _ticked(work: Work, schedule: StoredSchedule, acceptance: Acceptance) -> dict[str, Any]:
    ((accepted,),) = accept(work, [(acceptance,)])
    run_id = accepted.decisions[0].run_id if accepted.decisions else None
    made = {"ticks": schedule.ticks + 1, "last_tick_at": acceptance.event.time, "last_run_id": run_id}
    return made | ({"next_at": None} if run_id else without_run(schedule, acceptance.event.time))


def without_run(schedule: StoredSchedule, instant: datetime) -> dict[str, Any]:
    """What becomes of a schedule whose tick made no run: that counts as one that has failed."""
    return {"next_at": instant, "failures": schedule.failures + 1}


async def stalled_schedules(database: Database) -> list[str]:
    """Continuous schedules that wait for the end of a run that is over: it did not end by an attempt."""
    waits = is_continuous & schedules.c.enabled & ~schedules.c.paused & schedules.c.next_at.is_(None)
    goes_on = exists(select(runs.c.id).where(runs.c.id == schedules.c.last_run_id, is_unfinished))
    stalled = select(schedules.c.name).where(waits, schedules.c.removed_at.is_(None), ~goes_on)
    async with database.read() as connection:
        return list((await connection.scalars(stalled)).all())
