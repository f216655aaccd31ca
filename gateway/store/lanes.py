"""The runs of one key within a target (`per_key`): only those whose turn it is are claimable.

The others stay out of the index a claim reads, so that a million of them behind a running one cost nothing. What was
put aside for a pause takes no seat, except in an ordered lane, where it keeps its turn. Whoever changes a lane holds
the row of its target locked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, select, update

from gateway.core.request import Priority
from gateway.store.bulk import insert_rows, update_runs
from gateway.store.schema import is_behind, is_claimable, is_running, runs, targets, waits_for_seat, waits_in_lane

Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class LaneLimit:
    """How many runs of one key go at once; `ordered` makes every run wait until all older ones are final."""

    concurrency: int
    ordered: bool


LaneLimits = Mapping[str, LaneLimit]
"""The limit of each target that has one."""

Lane = tuple[str, str]
"""Target and rendered key."""


def lock_targets(connection: Connection, names: Iterable[str]) -> None:
    """Takes the rows of targets, in order, before anything else is locked; makes those that no node has made yet."""
    if wanted := set(names):
        locked = select(targets.c.name).where(targets.c.name.in_(wanted)).order_by(targets.c.name).with_for_update()
        known = (connection.scalars(locked)).all()
        insert_rows(connection, targets, [{"name": name} for name in sorted(wanted.difference(known))])


def reseat(connection: Connection, lanes: Iterable[Lane], limits: LaneLimits, now: datetime) -> None:
    """Makes exactly those waiting runs claimable whose turn it is."""
    for target, lane in sorted(set(lanes)):
        in_lane = (runs.c.target == target) & (runs.c.lane == lane)
        limit = limits.get(target)
        if limit is None:
            connection.execute(update(runs).where(waits_for_seat, in_lane, ~is_behind).values(claimable=True))
        else:
            _reseat(connection, in_lane, limit, now)


def _reseat(connection: Connection, in_lane: Condition, limit: LaneLimit, now: datetime) -> None:
    busy = connection.scalar(select(func.count()).select_from(runs).where(is_running, in_lane)) or 0
    seats = max(0, limit.concurrency - busy)
    chosen = (_oldest if limit.ordered else _first_due)(connection, in_lane, seats, now)
    seated = connection.scalars(select(runs.c.id).where(is_claimable, waits_for_seat, in_lane))
    present = set(seated.all())
    _mark(connection, chosen - present, claimable=True)
    _mark(connection, present - chosen, claimable=False)


def _oldest(connection: Connection, in_lane: Condition, seats: int, _: datetime) -> set[str]:
    """The oldest runs; one that is behind another, or put aside, keeps its turn and does not start either."""
    oldest = select(runs.c.id, runs.c.behind, runs.c.paused).where(waits_in_lane, in_lane)
    rows = connection.execute(oldest.order_by(runs.c.created_at, runs.c.id).limit(seats))
    return {row.id for row in rows if row.behind is None and not row.paused}


def _first_due(connection: Connection, in_lane: Condition, seats: int, now: datetime) -> set[str]:
    """What is due with high priority, then by due time; what is due tomorrow keeps no seat from what is due today.

    But what has a job going on does: another one beside it would be one too many.
    """
    candidates = []
    for priority in Priority:
        waiting = select(runs.c.id, runs.c.due_at).where(waits_for_seat, in_lane, ~is_behind)
        by_due = waiting.where(runs.c.priority == priority).order_by(runs.c.due_at, runs.c.id).limit(seats)
        rows = connection.execute(by_due)
        candidates += [(_rank(priority, row.due_at, now), row.due_at, row.id) for row in rows]
    return {run_id for *_, run_id in sorted(candidates)[:seats]}


def _rank(priority: Priority, due_at: datetime, now: datetime) -> Priority:
    return priority if priority is Priority.FOLLOWING or due_at <= now else Priority.NORMAL


def _mark(connection: Connection, ids: set[str], *, claimable: bool) -> None:
    update_runs(connection, ("claimable",), {run_id: {"claimable": claimable} for run_id in ids})
