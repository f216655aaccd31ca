"""What came in, what was made of it, and how that ended: read from the sums that are kept as it happens."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.request import Verb
from gateway.core.run import State
from gateway.store.counts import What, period_of
from gateway.store.database import Database
from gateway.store.schema import counts, events


@dataclass(slots=True, kw_only=True)
class Figures:
    """How many there were, of each kind.

    `duplicates` are redelivered events, and requests whose key was held. `skipped` are ticks that were passed over, and
    runs that were not started because it was too late for them, or had just been done. What of a name does not apply to
    it is 0.
    """

    events: int = 0
    redelivered: int = 0
    runs: int = 0
    merged: int = 0
    duplicates: int = 0
    filtered: int = 0
    errors: int = 0
    shadow: int = 0
    skipped: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    superseded: int = 0

    def add(self, what: str, number: int) -> None:
        for name in _FIGURES[what]:
            setattr(self, name, getattr(self, name) + number)


_FIGURES: dict[str, tuple[str, ...]] = {
    What.EVENT: ("events",),
    What.REDELIVERY: ("redelivered", "duplicates"),
    Verb.ENQUEUED: ("runs",),
    Verb.MERGED: ("merged",),
    Verb.DUPLICATE: ("duplicates",),
    Verb.FILTERED: ("filtered",),
    Verb.ERROR: ("errors",),
    Verb.SHADOW: ("shadow",),
    What.TICK_SKIPPED: ("skipped",),
    What.EXPIRED: ("skipped",),
    What.FRESH: ("skipped",),
    State.SUCCEEDED: ("succeeded",),
    State.FAILED: ("failed",),
    State.CANCELLED: ("cancelled",),
    State.SUPERSEDED: ("superseded",),
}


@dataclass(slots=True, kw_only=True)
class NamedFigures(Figures):
    """Those of one source, trigger or target."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """From `since`, where a period of ten minutes began, until now.

    `events_per_run` is by how much the gateway has made less of it; null where there was no run.
    """

    since: datetime
    until: datetime
    events_per_run: float | None
    totals: Figures
    sources: tuple[NamedFigures, ...]
    triggers: tuple[NamedFigures, ...]
    targets: tuple[NamedFigures, ...]


async def read_stats(database: Database, since: datetime) -> Stats:
    """The report of what happened since the beginning of a period."""
    begun, until = period_of(since), database.now()
    names = (counts.c.source, counts.c.trigger, counts.c.target, counts.c.what)
    sums = select(*names, func.sum(counts.c.number).label("number")).where(counts.c.period >= begun).group_by(*names)
    async with database.read() as connection:
        rows = (await connection.execute(sums)).all()
    totals = Figures()
    for row in rows:
        totals.add(row.what, int(row.number))
    return Stats(
        since=begun,
        until=until,
        events_per_run=round(totals.events / totals.runs, 2) if totals.runs else None,
        totals=totals,
        sources=_by_name(rows, "source"),
        triggers=_by_name(rows, "trigger"),
        targets=_by_name(rows, "target"),
    )


def _by_name(rows: Iterable[Any], kind: str) -> tuple[NamedFigures, ...]:
    found: dict[str, NamedFigures] = {}
    for row in rows:
        if name := getattr(row, kind):
            found.setdefault(name, NamedFigures(name=name)).add(row.what, int(row.number))
    return tuple(found[name] for name in sorted(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class LastEvent:
    id: str
    type: str
    received_at: datetime


@dataclass(slots=True, kw_only=True)
class Activity:
    """What happened with a source or a trigger, and the last event there was; it may have been pruned."""

    figures: Figures = field(default_factory=Figures)
    last_event: LastEvent | None = None


async def read_activity(database: Database, kind: str, names: Collection[str], since: datetime) -> dict[str, Activity]:
    """Of each of these sources or triggers; the last event is looked for further back, as far as counts are kept."""
    name = counts.c[kind].label("name")
    of_these = counts.c[kind].in_(sorted(names))
    sums = select(name, counts.c.what, func.sum(counts.c.number).label("number")).group_by(name, counts.c.what)
    latest = select(name, func.max(counts.c.last_event_id).label("event_id")).group_by(name)
    found = defaultdict[str, Activity](Activity)
    async with database.read() as connection:
        for row in await connection.execute(sums.where(of_these, counts.c.period >= period_of(since))):
            found[row.name].figures.add(row.what, int(row.number))
        last_ids = {row.name: row.event_id for row in await connection.execute(latest.where(of_these))}
        last_events = await _find(connection, last_ids.values())
    for one, event_id in last_ids.items():
        found[one].last_event = last_events.get(event_id)
    return found


async def _find(connection: AsyncConnection, ids: Iterable[str | None]) -> dict[str, LastEvent]:
    shown = select(events.c.id, events.c.type, events.c.received_at)
    rows = await connection.execute(shown.where(events.c.id.in_([*filter(None, ids)])))
    return {row.id: LastEvent(id=row.id, type=row.type, received_at=row.received_at) for row in rows}
