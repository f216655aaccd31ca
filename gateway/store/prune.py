"""What is too old goes, a few hundred rows at a time so that nobody waits for it.

A sweep walks through runs and events once, from the oldest to the first that is young enough, and looks at so many of
them in each transaction, whether they may go or not: so a transaction is short, however many have to stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Row, Table, delete, exists, select, tuple_

from gateway.core.ids import earliest_id
from gateway.core.run import FINAL
from gateway.store.schema import (
    EPOCH,
    alarms,
    attempts,
    audit,
    counts,
    events,
    is_unfinished,
    keys,
    live_logs,
    run_events,
    runs,
    skips,
)
from gateway.store.writer import Work

BATCH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutoff:
    """The age at which things go."""

    events_before: datetime
    runs_before: datetime
    audit_before: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """How far it has come: all runs and events up to these have been looked at."""

    cutoff: Cutoff
    run_id: str = earliest_id(EPOCH)
    event_id: str = earliest_id(EPOCH)


def prune(work: Work, sweeps: Sequence[Sweep]) -> list[Sweep | None]:
    """Deletes one batch of what is older than the cutoff; what is left to do of the sweep, if anything.

    An event stays while an unfinished run refers to it, or while its delivery key is held.
    """
    return [_prune(work, sweep) for sweep in sweeps]


def _prune(work: Work, sweep: Sweep) -> Sweep | None:
    walked_runs = _prune_runs(work, sweep)
    walked_events = _prune_events(work, sweep)
    others = [_prune_oldest(work, *aged) for aged in _aged(sweep.cutoff)]
    if max(len(walked_runs), len(walked_events), *others) < BATCH:
        return None
    return replace(
        sweep,
        run_id=walked_runs[-1].id if walked_runs else sweep.run_id,
        event_id=walked_events[-1].id if walked_events else sweep.event_id,
    )


def _prune_runs(work: Work, sweep: Sweep) -> Sequence[Row[Any]]:
    before = sweep.cutoff.runs_before
    may_go = runs.c.state.in_([*FINAL]) & (runs.c.finished_at < before)
    walked = _walk(work, select(runs.c.id, runs.c.key, may_go.label("may_go")), runs.c.id, sweep.run_id, before)
    ids = [run.id for run in walked if run.may_go]
    if ids:
        for table in (attempts, live_logs, run_events):
            work.connection.execute(delete(table).where(table.c.run_id.in_(ids)))
        names = {run.key for run in walked if run.may_go and run.key is not None}
        work.connection.execute(delete(keys).where(keys.c.key.in_(names), keys.c.run_id.in_(ids)))
        work.connection.execute(delete(runs).where(runs.c.id.in_(ids)))
    return walked


def _prune_events(work: Work, sweep: Sweep) -> Sequence[Row[Any]]:
    before = sweep.cutoff.events_before
    first = exists(select(runs.c.id).where(is_unfinished, runs.c.event_id == events.c.id))
    merged = exists(
        select(runs.c.id)
        .join(run_events, run_events.c.run_id == runs.c.id)
        .where(is_unfinished, run_events.c.event_id == events.c.id)
    )
    held = events.c.delivery_id.is_not(None) & (events.c.delivery_until > work.now)
    may_go = (events.c.received_at < before) & ~held & ~first & ~merged
    walked = _walk(work, select(events.c.id, may_go.label("may_go")), events.c.id, sweep.event_id, before)
    ids = [event.id for event in walked if event.may_go]
    if ids:
        work.connection.execute(delete(run_events).where(run_events.c.event_id.in_(ids)))
        work.connection.execute(delete(events).where(events.c.id.in_(ids)))
    return walked


def _walk(work: Work, rows: Any, place: Column[str], after: str, before: datetime) -> Sequence[Row[Any]]:
    """The next batch by id; ids sort by age, so the walk ends where the young ones begin."""
    ahead = rows.where(place > after, place < earliest_id(before))
    return work.connection.execute(ahead.order_by(place).limit(BATCH)).all()


def _aged(cutoff: Cutoff) -> list[tuple[Table, Column[Any], ColumnElement[bool]]]:
    """Tables from which everything old goes, by what it is old, and what is.

    Alarms are of keys that never came back, and of what is not configured any more.
    """
    return [
        (audit, audit.c.id, audit.c.id < earliest_id(cutoff.audit_before)),
        (counts, counts.c.period, counts.c.period < cutoff.runs_before),
        (skips, skips.c.to, skips.c.to < cutoff.runs_before),
        (alarms, alarms.c.latest, alarms.c.latest < cutoff.runs_before),
    ]


def _prune_oldest(work: Work, table: Table, age: Column[Any], old: ColumnElement[bool]) -> int:
    row = table.primary_key.columns
    oldest = select(*row).where(old).order_by(age).limit(BATCH)
    return work.connection.execute(delete(table).where(tuple_(*row).in_(oldest))).rowcount
