"""What is too old goes, a few hundred rows at a time so that nobody waits for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, exists, select

from gateway.core.ids import earliest_id
from gateway.core.run import FINAL
from gateway.store.schema import alarms, attempts, audit, counts, events, is_unfinished, keys, run_events, runs, skips
from gateway.store.writer import Work

BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutoff:
    """The age at which things go."""

    events_before: datetime
    runs_before: datetime
    audit_before: datetime


def prune(work: Work, cutoffs: Sequence[Cutoff]) -> list[int]:
    """Deletes one batch of what is older than the cutoff; returns how many rows that were.

    An event stays while an unfinished run refers to it, or while its delivery key is held.
    """
    return [_prune(work, cutoff) for cutoff in cutoffs]


def _prune(work: Work, cutoff: Cutoff) -> int:
    pruned = _prune_runs(work, cutoff) + _prune_events(work, cutoff) + _prune_audit(work, cutoff)
    _prune_counts(work, cutoff)
    return pruned + _prune_keys(work) + _prune_skips(work, cutoff) + _prune_alarms(work, cutoff)


def _prune_runs(work: Work, cutoff: Cutoff) -> int:
    aged = runs.c.id < earliest_id(cutoff.runs_before)  # ends the search where the young ones begin
    old = select(runs.c.id).where(aged, runs.c.state.in_([*FINAL]), runs.c.finished_at < cutoff.runs_before)
    ids = list((work.connection.scalars(old.order_by(runs.c.id).limit(BATCH))).all())
    if ids:
        work.connection.execute(delete(attempts).where(attempts.c.run_id.in_(ids)))
        work.connection.execute(delete(run_events).where(run_events.c.run_id.in_(ids)))
        work.connection.execute(delete(runs).where(runs.c.id.in_(ids)))
    return len(ids)


def _prune_events(work: Work, cutoff: Cutoff) -> int:
    first = exists(select(runs.c.id).where(is_unfinished, runs.c.event_id == events.c.id))
    merged = exists(
        select(runs.c.id)
        .join(run_events, run_events.c.run_id == runs.c.id)
        .where(is_unfinished, run_events.c.event_id == events.c.id)
    )
    held = events.c.delivery_id.is_not(None) & (events.c.delivery_until > work.now)
    aged = events.c.id < earliest_id(cutoff.events_before)
    old = select(events.c.id).where(aged, events.c.received_at < cutoff.events_before, ~held, ~first, ~merged)
    ids = list((work.connection.scalars(old.order_by(events.c.id).limit(BATCH))).all())
    if ids:
        work.connection.execute(delete(run_events).where(run_events.c.event_id.in_(ids)))
        work.connection.execute(delete(events).where(events.c.id.in_(ids)))
    return len(ids)


def _prune_audit(work: Work, cutoff: Cutoff) -> int:
    aged = select(audit.c.id).where(audit.c.id < earliest_id(cutoff.audit_before))
    ids = list((work.connection.scalars(aged.order_by(audit.c.id).limit(BATCH))).all())
    return work.connection.execute(delete(audit).where(audit.c.id.in_(ids))).rowcount if ids else 0


def _prune_counts(work: Work, cutoff: Cutoff) -> None:
    work.connection.execute(delete(counts).where(counts.c.period < cutoff.runs_before))


def _prune_keys(work: Work) -> int:
    over = delete(keys).where(keys.c.held_until < work.now)
    idle = ~exists(select(runs.c.id).where(is_unfinished, runs.c.id == keys.c.run_id))
    return work.connection.execute(over.where(idle)).rowcount


def _prune_skips(work: Work, cutoff: Cutoff) -> int:
    return work.connection.execute(delete(skips).where(skips.c.to < cutoff.runs_before)).rowcount


def _prune_alarms(work: Work, cutoff: Cutoff) -> int:
    """Of keys that never came back, and of what is not configured any more."""
    return work.connection.execute(delete(alarms).where(alarms.c.latest < cutoff.runs_before)).rowcount
