"""How much happened: sums for each ten minutes, kept in the transaction in which it happens.

They belong to the writer that adds to them, so that no two transactions ever wait for each other's.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import bindparam, func, literal
from sqlalchemy.dialects import postgresql, sqlite

from gateway.store.schema import EPOCH, counts
from gateway.store.writer import Work

PERIOD = timedelta(minutes=10)


class What(StrEnum):
    """What is counted beside decisions and ends of runs, which go by their own names."""

    EVENT = "event"
    REDELIVERY = "redelivery"
    TICK_SKIPPED = "tick skipped"
    EXPIRED = "expired"
    FRESH = "fresh"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Count:
    """Something that happened; names that do not apply are empty."""

    what: str
    source: str = ""
    trigger: str = ""
    target: str = ""


@dataclass(slots=True)
class Counts:
    """What one transaction has seen happen."""

    numbers: Counter[Count] = field(default_factory=Counter)
    events: dict[Count, str] = field(default_factory=dict)

    def add(self, what: Count, number: int = 1, event_id: str | None = None) -> None:
        """Counts something; of events the latest is remembered."""
        self.numbers[what] += number
        if event_id is not None:
            self.events[what] = event_id

    def write(self, work: Work) -> None:
        period = period_of(work.now)
        if rows := [self._row(what, period) for what in sorted(self.numbers) if self.numbers[what]]:
            work.connection.execute(_adding(work.connection.dialect.name), rows)

    def _row(self, what: Count, period: datetime) -> dict[str, Any]:
        return {
            "period": period,
            "source": what.source,
            "trigger": what.trigger,
            "target": what.target,
            "what": what.what,
            "number": self.numbers[what],
            "last_event_id": self.events.get(what),
        }


def end_of(what: str, trigger: str | None, target: str) -> Count:
    """The end of a run."""
    return Count(what=what, trigger=trigger or "", target=target)


def count(work: Work, happened: Iterable[Count]) -> None:
    """Counts each of these once."""
    counted = Counts()
    for what in happened:
        counted.add(what)
    counted.write(work)


def period_of(instant: datetime) -> datetime:
    """When the period began to which an instant belongs."""
    return instant - (instant - EPOCH) % PERIOD


@cache
def _adding(dialect: str) -> Any:
    """Adds to a row, or makes it. On SQLite there is one writer; a backend of PostgreSQL is nobody else's meanwhile."""
    insert, writer = (sqlite.insert, literal(0)) if dialect == "sqlite" else (postgresql.insert, func.pg_backend_pid())
    names = [column.name for column in counts.columns if column.name != "writer"]
    new = insert(counts).values(writer=writer, **{name: bindparam(name, type_=counts.c[name].type) for name in names})
    return new.on_conflict_do_update(
        index_elements=list(counts.primary_key.columns),
        set_={
            "number": counts.c.number + new.excluded.number,
            "last_event_id": func.coalesce(new.excluded.last_event_id, counts.c.last_event_id),
        },
    )
