"""What has changed of events and runs, in one order for all nodes, and complete as far as it goes.

Each row has the number of the transaction that wrote it last. On PostgreSQL transactions do not end in the order of
their numbers, so what is told ends before the first number that may still be in progress: nothing will ever turn up
before that. A row that changes twice before anybody looks is told once, as it is then.
"""

from dataclasses import dataclass
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import BigInteger, Select, Table, literal, select, tuple_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from gateway.store.database import Database
from gateway.store.schema import Id, events, runs

_LAST_ID = str(UUID(int=2**128 - 1))


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Behind a change: the number of its transaction, in which rows go by their ids."""

    number: int
    id: str = _LAST_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A row as it is now; `kind` is event or run."""

    place: Place
    kind: str
    shown: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Those after some place and up to `until`; nothing comes after it yet if they are all."""

    items: tuple[Change, ...]
    until: Place
    are_all: bool


class first_in_progress(GenericFunction[int]):  # noqa: N801 - written as the SQL function it is
    """The number of the first transaction that may not be over; all before it are."""

    type = BigInteger()
    inherit_cache = True


@compiles(first_in_progress, "postgresql")
def _postgresql(*_: Any, **__: Any) -> str:
    return "txid_snapshot_xmin(txid_current_snapshot())"


@compiles(first_in_progress, "sqlite")
def _sqlite(*_: Any, **__: Any) -> str:
    """One transaction after the other: the one after the last that has left anything."""
    last = "SELECT max(changed) AS number FROM events UNION SELECT max(changed) FROM runs"
    return f"(SELECT coalesce(max(number), 0) + 1 FROM ({last}))"  # noqa: S608 - it is the text above


_COMPLETE = select(first_in_progress())


@dataclass(frozen=True, slots=True)
class _Kind:
    """A table whose changes are told; the field `json` of its rows is stored as such."""

    name: str
    table: Table
    fields: tuple[str, ...]
    json: str

    def query(self, place: Place, complete: int, limit: int) -> Select[Any]:
        """One more than the limit, so that it is known whether there is more."""
        of = self.table.c
        after = tuple_(of.changed, of.id) > tuple_(literal(place.number, BigInteger), literal(place.id, Id))
        fields = (of[name] for name in (*self.fields, self.json))
        query = select(of.changed, *fields).where(after, of.changed < complete)
        return query.order_by(of.changed, of.id).limit(limit + 1)

    def change(self, row: Any) -> Change:
        text = getattr(row, self.json)
        shown = {name: getattr(row, name) for name in self.fields}
        stored = {self.json: None if text is None else orjson.Fragment(text)}
        return Change(place=Place(row.changed, row.id), kind=self.name, shown={"kind": self.name, **shown, **stored})


_KINDS = (
    _Kind(
        "event",
        events,
        ("id", "sender_id", "source", "type", "subject", "time", "received_at", "deliveries"),
        "decisions",
    ),
    _Kind(
        "run",
        runs,
        (
            *("id", "state", "target", "trigger", "schedule", "key", "attempt", "events", "created_at", "due_at"),
            *("started_at", "finished_at", "cancelling", "reason", "retried_from", "superseded_by"),
        ),
        "progress",
    ),
)


async def latest_place(database: Database) -> Place:
    """Behind all that has changed so far."""
    async with database.read() as connection:
        return Place((await connection.execute(_COMPLETE)).scalar_one() - 1)


async def changes_after(database: Database, place: Place, limit: int) -> Changes:
    """What has changed since. A place that is ahead of the database is of another one, which this one replaces."""
    async with database.read() as connection:
        complete = (await connection.execute(_COMPLETE)).scalar_one()
        found = [
            kind.change(row) for kind in _KINDS for row in await connection.execute(kind.query(place, complete, limit))
        ]
    found.sort(key=attrgetter("place"))
    are_all = len(found) <= limit
    items = tuple(found[:limit])
    return Changes(items=items, until=Place(complete - 1) if are_all else items[-1].place, are_all=are_all)
