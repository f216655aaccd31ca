"""Schedules as they are stored: what they say, how far they have come, and when to look at them next."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, bindparam, func, or_, select

from gateway.store.bulk import select_rows
from gateway.store.clock import database_now
from gateway.store.database import Database
from gateway.store.pause import is_paused
from gateway.store.schema import is_looked_at, schedules


class Origin(StrEnum):
    """Where a schedule is defined, and so who may change it."""

    FILE = "file"
    API = "api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What a schedule says.

    `fields` are those of the YAML, as JSON. `timing` is a hash of what says when it is due, `zone_rules` one of what
    its time zone means at present. One that is not `on` makes no ticks.
    """

    name: str
    fields: bytes
    timing: str
    timezone: str
    zone_rules: str
    continuous: bool
    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSchedule:
    """A schedule and how far it has come: considered until `cursor`, looked at again at `next_at`.

    Intervals count from `anchor`. `failures` counts the runs in a row that have failed, or could not even be requested,
    of a continuous one; that one waits for the end of its last run while it has no `next_at`.
    """

    name: str
    origin: str
    definition: bytes
    timing: str
    timezone: str
    zone_rules: str
    continuous: bool
    enabled: bool
    version: int
    anchor: datetime
    cursor: datetime
    next_at: datetime | None
    ticks: int = 0
    failures: int = 0
    last_tick_at: datetime | None = None
    last_run_id: str | None = None
    paused: bool = False
    paused_until: datetime | None = None
    paused_by: str | None = None
    pause_reason: str | None = None
    created_at: datetime
    updated_at: datetime
    updated_by: str | None = None
    removed_at: datetime | None = None

    @property
    def considered_until(self) -> datetime:
        """Of a pause that is over, nothing is made up for."""
        return max(self.cursor, self.paused_until) if self.paused_until else self.cursor

    def is_paused(self, now: datetime) -> bool:
        return is_paused(self, now)

    def makes_ticks(self, now: datetime) -> bool:
        return self.enabled and self.removed_at is None and not self.is_paused(now)


_COLUMNS = tuple(schedules.c[name] for name in StoredSchedule.__slots__)
_exists = schedules.c.removed_at.is_(None)
_LOCK = (
    select(*_COLUMNS)
    .where(schedules.c.name.in_(bindparam("wanted", expanding=True)))
    .order_by(schedules.c.name)
    .with_for_update()
)


def lock_schedules(connection: Connection, names: Iterable[str]) -> dict[str, StoredSchedule]:
    """Takes the rows of schedules, in order and before all else that a transaction locks."""
    return {row.name: _stored(row) for row in select_rows(connection, _LOCK, names)}


def _stored(row: Any) -> StoredSchedule:
    return StoredSchedule(**row._mapping)  # noqa: SLF001 - the documented name


async def next_look(database: Database) -> tuple[datetime, datetime | None]:
    """The present instant by the database's clock, and when the first of all schedules is to be looked at."""
    first = select(func.min(schedules.c.next_at)).where(is_looked_at).scalar_subquery()
    async with database.read() as connection:
        row = (await connection.execute(select(database_now(), first))).one()
    return row[0], row[1]


async def due_schedules(database: Database, now: datetime, limit: int) -> list[StoredSchedule]:
    """Those to be looked at by now, the longest waiting first."""
    due = select(*_COLUMNS).where(is_looked_at, schedules.c.next_at <= now)
    async with database.read() as connection:
        rows = await connection.execute(due.order_by(schedules.c.next_at, schedules.c.name).limit(limit))
        return [_stored(row) for row in rows]


async def file_schedules(database: Database) -> dict[str, bytes]:
    """The definitions of those that come from a file, and have not gone from it."""
    query = select(schedules.c.name, schedules.c.definition).where(_exists, schedules.c.origin == Origin.FILE)
    async with database.read() as connection:
        return {row.name: row.definition for row in await connection.execute(query)}


async def misjudged_schedules(database: Database, now: datetime, rules: Callable[[str], str]) -> list[str]:
    """Those whose next look was worked out under other `rules` of their time zone, or by a clock that was ahead."""
    zones = select(schedules.c.timezone, schedules.c.zone_rules).where(is_looked_at).distinct()
    names = select(schedules.c.name).where(is_looked_at)
    async with database.read() as connection:
        changed = [
            (schedules.c.timezone == zone) & (schedules.c.zone_rules == known)
            for zone, known in await connection.execute(zones)
            if rules(zone) != known
        ]
        misjudged = names.where(or_(schedules.c.cursor > now, *changed))
        return list((await connection.scalars(misjudged)).all())


async def list_schedules(database: Database, limit: int | None = None, after: str = "") -> list[StoredSchedule]:
    """Schedules by name, from the one after `after` on."""
    listed = select(*_COLUMNS).where(_exists, schedules.c.name > after).order_by(schedules.c.name).limit(limit)
    async with database.read() as connection:
        return [_stored(row) for row in await connection.execute(listed)]


async def find_schedule(database: Database, name: str) -> StoredSchedule | None:
    async with database.read() as connection:
        row = (await connection.execute(select(*_COLUMNS).where(_exists, schedules.c.name == name))).one_or_none()
    return None if row is None else _stored(row)
