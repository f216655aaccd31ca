"""Skips: which ticks of a schedule made no run, and why; one record for as many as there are, never a row per tick."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, update

from gateway.core.misfire import Skip
from gateway.store.bulk import insert_rows, select_rows
from gateway.store.database import Database
from gateway.store.schema import skips
from gateway.store.writer import Work

_others = skips.alias("others")
_last = select(func.max(_others.c["from"])).where(_others.c.schedule == skips.c.schedule).scalar_subquery()
_LATEST = select(skips).where(skips.c.schedule.in_(bindparam("wanted", expanding=True)), skips.c["from"] == _last)
_PROLONG = (
    update(skips)
    .where(skips.c.schedule == bindparam("of_schedule"), skips.c["from"] == bindparam("began"))
    .values({"to": bindparam("new_to"), "count": bindparam("new_count")})
)

Skipped = tuple[datetime | None, Sequence[Skip]]
"""When a schedule ticked last, and what has been skipped of it since."""


def record_skips(work: Work, skipped: Mapping[str, Skipped]) -> None:
    """What goes on from the last record, for the same reason and without a tick in between, goes into that one."""
    concerned = {name: skipped[name] for name in sorted(skipped) if skipped[name][1]}
    latest = {row.schedule: dict(row._mapping) for row in select_rows(work.connection, _LATEST, concerned)}  # noqa: SLF001 - the documented name
    fresh, prolonged = [], {}
    for name, (last_tick_at, more) in concerned.items():
        for skip in more:
            record = latest.get(name)
            if record is not None and skip.until <= record["to"]:
                continue  # on record already: the clock has been set back since
            if record is not None and _goes_on(record, skip, last_tick_at):
                record.update(to=skip.until, count=record["count"] + skip.count)
                prolonged[name, record["from"]] = record
            else:
                latest[name] = _record(name, skip)
                fresh.append(latest[name])
    insert_rows(work.connection, skips, fresh)
    changes = [_change(record) for record in prolonged.values() if record not in fresh]
    if changes:
        work.connection.execute(_PROLONG, changes)


def _goes_on(record: Mapping[str, Any], skip: Skip, last_tick_at: datetime | None) -> bool:
    return record["reason"] == skip.reason and (last_tick_at is None or last_tick_at < record["from"])


def _record(name: str, skip: Skip) -> dict[str, Any]:
    return {"schedule": name, "from": skip.since, "to": skip.until, "count": skip.count, "reason": skip.reason}


def _change(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "of_schedule": record["schedule"],
        "began": record["from"],
        "new_to": record["to"],
        "new_count": record["count"],
    }


async def list_skips(database: Database, name: str, limit: int) -> list[dict[str, Any]]:
    """The ticks of a schedule that made no run, in records of {from, to, count, reason}, the newest first."""
    shown = [skips.c[column] for column in ("from", "to", "count", "reason")]
    newest = select(*shown).where(skips.c.schedule == name).order_by(skips.c["from"].desc()).limit(limit)
    async with database.read() as connection:
        return [dict(row) for row in (await connection.execute(newest)).mappings()]
