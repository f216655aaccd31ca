"""A database with many schedules in it, as if they had come through the API."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import SecretStr
from sqlalchemy import func, select

from gateway.core.schedule import Schedule, literal
from gateway.core.tick import TICK
from gateway.runtime.ticks import define
from gateway.store.bulk import insert_rows
from gateway.store.database import Database, open_database
from gateway.store.migrate import migrate
from gateway.store.schedules import Origin, StoredSchedule
from gateway.store.schema import events, schedules
from gateway.store.settings import DatabaseSettings
from gateway.store.writer import Work

CHUNK = 10_000


@asynccontextmanager
async def database(url: str) -> AsyncIterator[Database]:
    """With its tables."""
    async with open_database(DatabaseSettings(url=SecretStr(url))) as opened:
        await migrate(opened)
        yield opened


@asynccontextmanager
async def reader(url: str) -> AsyncIterator[Database]:
    """One that a gateway is working with."""
    opened = Database(DatabaseSettings(url=SecretStr(url)))
    yield opened
    await opened.close()


async def store(opened: Database, stored: Sequence[StoredSchedule]) -> None:
    for start in range(0, len(stored), CHUNK):
        await opened.commit(_insert, stored[start : start + CHUNK])


def _insert(work: Work, several: Sequence[Sequence[StoredSchedule]]) -> list[None]:
    for some in several:
        insert_rows(work.connection, schedules, [asdict(one) for one in some])
    return [None for _ in several]


def stored_schedules(fields: Iterable[dict[str, Any]], cursor: datetime, next_at: datetime) -> list[StoredSchedule]:
    """Considered until `cursor`, and to be looked at from `next_at` on."""
    return [_stored(f"schedule-{number}", one, cursor, next_at) for number, one in enumerate(fields)]


def _stored(name: str, fields: dict[str, Any], cursor: datetime, next_at: datetime) -> StoredSchedule:
    definition = define(name, Schedule.model_validate(literal(fields)))
    return StoredSchedule(
        name=name,
        origin=Origin.API,
        definition=definition.fields,
        timing=definition.timing,
        timezone=definition.timezone,
        zone_rules=definition.zone_rules,
        continuous=False,
        enabled=True,
        version=1,
        anchor=cursor,
        cursor=cursor,
        next_at=next_at,
        created_at=cursor,
        updated_at=cursor,
    )


async def count_ticks(opened: Database) -> int:
    async with opened.read() as connection:
        counted = select(func.count()).select_from(events).where(events.c.type == TICK)
        return (await connection.execute(counted)).scalar_one()
