"""Runs that a pause holds are put aside when they are due, and given back when it is over, a batch at a time.

Both look at the pauses while they hold the rows of targets locked: so nobody puts a run aside for a pause while
somebody else gives back what looks like its last runs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import bindparam, delete, select, update

from gateway.store.bulk import insert_rows, select_rows
from gateway.store.claim import first_due
from gateway.store.database import Database, notify
from gateway.store.lanes import LaneLimits, lock_targets, reseat
from gateway.store.pauses import in_force, is_of, stopped_by
from gateway.store.schema import is_claimable, is_put_aside, paused_runs, pauses, runs, targets
from gateway.store.writer import Work

BATCH = 500

_DUE = (
    select(runs.c.id, runs.c.target, runs.c.key, runs.c.lane, runs.c.origins, runs.c.following)
    .where(runs.c.id.in_(first_due()), is_claimable)
    .order_by(runs.c.id)
    .with_for_update()
)
_ASIDE = (
    select(runs.c.id, runs.c.target, runs.c.lane)
    .where(is_put_aside, runs.c.id.in_(bindparam("wanted", expanding=True)))
    .order_by(runs.c.id)
    .with_for_update()
)
_MOVED = update(runs).where(runs.c.id.in_(bindparam("wanted", expanding=True)))
_PUT_ASIDE = _MOVED.values(paused=True, claimable=False)
_GIVE_BACK = _MOVED.values(paused=False, claimable=runs.c.lane.is_(None))
_FORGET = delete(paused_runs).where(
    paused_runs.c.pause == bindparam("of_pause"), paused_runs.c.run_id.in_(bindparam("wanted", expanding=True))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """A target whose due runs are looked at."""

    target: str
    limits: LaneLimits = field(default_factory=dict)


def put_aside(work: Work, passing: Sequence[Passing]) -> list[int]:
    """Takes runs that a claim passes over out of its way; how many that were, a batch at most."""
    lock_targets(work.connection, (one.target for one in passing))
    return [_put_aside(work, one) for one in passing]


def _put_aside(work: Work, passing: Passing) -> int:
    paused = in_force(work.connection, work.now)
    if not paused.rows:
        return 0
    due = work.connection.execute(_DUE, {"of_target": passing.target, "now": work.now, "free": BATCH}).all()
    held = {row: what for row in due if (what := paused.holding(row))}
    work.connection.execute(_PUT_ASIDE, {"wanted": [row.id for row in held]})
    # one that was woken, and is put aside again, may be noted already
    notes = [{"pause": what.id, "run_id": row.id} for row, several in held.items() for what in several]
    insert_rows(work.connection, paused_runs, notes, unless_there=True)
    _reseat(work, held, passing.limits)
    return len(held)


async def has_ended_pauses(database: Database) -> bool:
    """Whether there is anything to give back; a look that costs less than a commit."""
    async with database.read() as connection:
        over = select(pauses.c.kind).where(pauses.c.paused_until <= database.now())
        return (await connection.execute(over.limit(1))).first() is not None


def give_back(work: Work, limits: Sequence[LaneLimits]) -> list[bool]:
    """Gives back runs of a pause that is over, a batch at most; `False` where there is no such pause."""
    return [_give_back(work, one) for one in limits]


def _give_back(work: Work, limits: LaneLimits) -> bool:
    over = select(pauses).where(pauses.c.paused_until <= work.now).order_by(pauses.c.kind, pauses.c.name, pauses.c.key)
    pause = work.connection.execute(over.limit(1)).one_or_none()
    if pause is None:
        return False
    lock_targets(work.connection, work.connection.scalars(select(targets.c.name)))
    what = stopped_by(pause)
    noted = select(paused_runs.c.run_id).where(paused_runs.c.pause == what.id)
    run_ids = work.connection.scalars(noted.order_by(paused_runs.c.run_id).limit(BATCH)).all()
    rows = select_rows(work.connection, _ASIDE, run_ids)
    work.connection.execute(_GIVE_BACK, {"wanted": [row.id for row in rows]})
    work.connection.execute(_FORGET, {"of_pause": what.id, "wanted": run_ids})
    _reseat(work, rows, limits)
    if len(run_ids) < BATCH:
        work.connection.execute(delete(pauses).where(is_of(what), pauses.c.paused_until <= work.now))
    notify(work.connection, orjson.dumps(sorted({row.target for row in rows})).decode())
    return True


def _reseat(work: Work, moved: Iterable[Any], limits: LaneLimits) -> None:
    reseat(work.connection, [(row.target, row.lane) for row in moved if row.lane is not None], limits, work.now)
