"""A newer run takes over the events of one that it supersedes."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, literal, select, union

from gateway.store.schema import Id, run_events, runs


def take_over(connection: Connection, older: str, newer: Mapping[str, Any]) -> int:
    """Links all events of the older run to the newer one as well; the older keeps its own for the record.

    Returns how many that are. After a retry by hand both may have the same event, which counts once.
    """
    taker = literal(newer["id"], Id)
    first = select(taker, runs.c.event_id).where(runs.c.id == older, runs.c.event_id.is_not(None))
    merged = select(taker, run_events.c.event_id).where(run_events.c.run_id == older)
    mine = select(run_events.c.event_id).where(run_events.c.run_id == newer["id"])
    taken = union(first, merged).subquery()
    fresh = taken.c[1].not_in(mine) & taken.c[1].is_distinct_from(newer["event_id"])
    rows = connection.execute(insert(run_events).from_select(["run_id", "event_id"], select(taken).where(fresh)))
    return rows.rowcount
