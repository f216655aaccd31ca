"""The runs of one key within a target (`per_key`): only those whose turn it is are claimable.

The others stay out of the index a claim reads, so that a million of them behind a running one cost nothing. What was
put aside for a pause takes no seat, except in an ordered lane, where it keeps its turn. Whoever changes a lane holds
the row of its target locked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Integer, bindparam, func, literal_column, select, union_all, update

from gateway.core.request import Priority
from gateway.store.bulk import insert_rows, update_runs
from gateway.store.schema import is_behind, is_claimable, is_running, runs, targets, waits_for_seat, waits_in_lane


@dataclass(frozen=True, slots=True)
class LaneLimit:
    """How many runs of one key go at once; `ordered` makes every run wait until all older ones are final."""

    concurrency: int
    ordered: bool


LaneLimits = Mapping[str, LaneLimit]
"""The limit of each target that has one."""

Lane = tuple[str, str]
"""Target and rendered key."""


_IN_LANE = (runs.c.target == bindparam("of_target")) & (runs.c.lane == bindparam("of_lane"))
_SEATS = bindparam("seats", type_=Integer())
_BUSY = select(func.count()).select_from(runs).where(is_running, _IN_LANE)
_SEATED = select(runs.c.id).where(is_claimable, waits_for_seat, _IN_LANE)
_SEAT_ALL = update(runs).where(waits_for_seat, _IN_LANE, ~is_behind).values(claimable=True)
_OLDEST = (
    select(runs.c.id, runs.c.behind, runs.c.paused)
    .where(waits_in_lane, _IN_LANE)
    .order_by(runs.c.created_at, runs.c.id)
    .limit(_SEATS)
)
_FIRST_DUE = union_all(
    *(
        select(
            select(runs.c.id, runs.c.priority, runs.c.due_at)
            .where(waits_for_seat, _IN_LANE, ~is_behind, runs.c.priority == literal_column(str(priority.value)))
            .order_by(runs.c.due_at, runs.c.id)
            .limit(_SEATS)
            .subquery()
        )
        for priority in Priority
    )
)


def lock_targets(connection: Connection, names: Iterable[str]) -> None:
    """Takes the rows of targets, in order, before anything else is locked; makes those that no node has made yet."""
    if wanted := set(names):
        locked = select(targets.c.name).where(targets.c.name.in_(wanted)).order_by(targets.c.name).with_for_update()
        known = (connection.scalars(locked)).all()
        insert_rows(connection, targets, [{"name": name} for name in sorted(wanted.difference(known))])


def reseat(connection: Connection, lanes: Iterable[Lane], limits: LaneLimits, now: datetime) -> None:
    """Makes exactly those waiting runs claimable whose turn it is."""
    for target, lane in sorted(set(lanes)):
        limit, place = limits.get(target), {"of_target": target, "of_lane": lane}
        if limit is None:
            connection.execute(_SEAT_ALL, place)
        else:
            _reseat(connection, place, limit, now)


def _reseat(connection: Connection, place: dict[str, Any], limit: LaneLimit, now: datetime) -> None:
    busy = connection.scalar(_BUSY, place) or 0
    seats = max(0, limit.concurrency - busy)
    chosen = (_oldest if limit.ordered else _first_due)(connection, place, seats, now)
    present = set(connection.scalars(_SEATED, place).all())
    _mark(connection, chosen - present, claimable=True)
    _mark(connection, present - chosen, claimable=False)


def _oldest(connection: Connection, place: dict[str, Any], seats: int, _: datetime) -> set[str]:
    """The oldest runs; one that is behind another, or put aside, keeps its turn and does not start either."""
    rows = connection.execute(_OLDEST, place | {"seats": seats})
    return {row.id for row in rows if row.behind is None and not row.paused}


def _first_due(connection: Connection, place: dict[str, Any], seats: int, now: datetime) -> set[str]:
    """What is due with high priority, then by due time; what is due tomorrow keeps no seat from what is due today.

    But what has a job going on does: another one beside it would be one too many.
    """
    rows = connection.execute(_FIRST_DUE, place | {"seats": seats})
    candidates = [(_rank(Priority(row.priority), row.due_at, now), row.due_at, row.id) for row in rows]
    return {run_id for *_, run_id in sorted(candidates)[:seats]}


def _rank(priority: Priority, due_at: datetime, now: datetime) -> Priority:
    return priority if priority is Priority.FOLLOWING or due_at <= now else Priority.NORMAL


def _mark(connection: Connection, ids: set[str], *, claimable: bool) -> None:
    update_runs(connection, ("claimable",), {run_id: {"claimable": claimable} for run_id in ids})
