"""Pauses of triggers, sources, single keys, and everything.

A pause is a row, and nothing else is written when it begins: a claim passes over the runs that it holds. Once it is
over, its row stays until all runs that were put aside for it are back (`gateway.store.aside`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, delete, or_, select, update

from gateway.store.bulk import insert_rows
from gateway.store.database import Database
from gateway.store.pause import Kind, Pausable, Pause, is_paused, shown
from gateway.store.schema import pauses, schedules, targets
from gateway.store.writer import Work

EVERYTHING = Pausable(Kind.EVERYTHING)


class Requested(Protocol):
    """What is looked at of a run to know whether it is held."""

    @property
    def target(self) -> str: ...
    @property
    def key(self) -> str | None: ...
    @property
    def origins(self) -> str: ...
    @property
    def following(self) -> bool: ...


def origin(trigger: str | None, source: str) -> str:
    """Who asks for a run. A run that several ask for lists them all, with spaces between."""
    return f"{trigger or ''}@{source}"


def joined(*origins: str) -> str:
    """The origins of a run that takes over from others, or merges them."""
    return " ".join(sorted({one for several in origins for one in several.split()}))


@dataclass(frozen=True, slots=True)
class Pauses:
    """Those in force at some moment, as they are stored."""

    rows: Mapping[Pausable, Any] = field(default_factory=dict)

    @property
    def of_everything(self) -> Any | None:
        return self.rows.get(EVERYTHING)

    def holding(self, run: Requested) -> tuple[Pausable, ...]:
        """What keeps a run from being started: nothing as soon as anybody asks for it who is not paused.

        So each of those that ask for it names one thing; when any of these is resumed, the run may be free. A job that
        has been started at the target is followed whatever is paused.
        """
        if run.following:
            return ()
        of_key = Pausable(Kind.TARGET, run.target, run.key or "")
        if of_key in self.rows:
            return (of_key,)
        named = [self._holding(one, run.key) for one in run.origins.split()]
        held = tuple(dict.fromkeys(what for what in named if what is not None))
        return held if None not in named else ()

    def _holding(self, asker: str, key: str | None) -> Pausable | None:
        trigger, _, source = asker.partition("@")
        keys = [""] if key is None else ["", key]
        pausables = (Pausable(*of, key) for of in ((Kind.TRIGGER, trigger), (Kind.SOURCE, source)) for key in keys)
        return next((what for what in pausables if what in self.rows), None)


NO_PAUSES = Pauses()


def in_force(connection: Connection, now: datetime) -> Pauses:
    return Pauses({stopped_by(row): row for row in connection.execute(select(pauses).where(_lasts(now)))})


def _lasts(now: datetime) -> ColumnElement[bool]:
    return or_(pauses.c.paused_until.is_(None), pauses.c.paused_until > now)


def stopped_by(row: Any) -> Pausable:
    return Pausable(Kind(row.kind), row.name, row.key)


def is_of(what: Pausable) -> ColumnElement[bool]:
    """The condition of the row of a pause."""
    return (pauses.c.kind == what.kind) & (pauses.c.name == what.name) & (pauses.c.key == what.key)


async def list_pauses(database: Database) -> list[dict[str, Any]]:
    """All that is paused at this moment."""
    async with database.read() as connection:
        now = database.now()
        paused = dict((await connection.run_sync(in_force, now)).rows)
        for kind, table in ((Kind.TARGET, targets), (Kind.SCHEDULE, schedules)):
            rows = await connection.execute(select(table).where(table.c.paused))
            paused |= {Pausable(kind, row.name): row for row in rows if is_paused(row, now)}
    in_order = sorted(paused.items(), key=lambda item: item[0].id)
    return [{"kind": what.kind, "name": what.name, "key": what.key, **shown(row)} for what, row in in_order]


def begin_pauses(work: Work, wanted: Sequence[Pause]) -> list[None]:
    """What is paused already is paused anew."""
    for pause in wanted:
        what = pause.what
        work.connection.execute(delete(pauses).where(is_of(what)))
        row = {"kind": what.kind, "name": what.name, "key": what.key, "paused_at": work.now}
        about = {"paused_until": pause.until(work.now), "paused_by": pause.by, "pause_reason": pause.reason}
        insert_rows(work.connection, pauses, [row | about])
    return [None for _ in wanted]


def end_pauses(work: Work, pausables: Sequence[Pausable]) -> list[None]:
    """Makes them end now, if they have not ended yet."""
    for what in pausables:
        ended = update(pauses).where(is_of(what), _lasts(work.now))
        work.connection.execute(ended.values(paused_until=work.now))
    return [None for _ in pausables]
