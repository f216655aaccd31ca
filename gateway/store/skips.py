"""Skips: which ticks of a schedule made no run, and why; one record for as many as there are, never a row per tick."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update

from gateway.core.misfire import Skip
from gateway.store.bulk import insert_rows, select_rows
from gateway.store.counts import Count, Counts, What
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
_FORGET = delete(skips).where(skips.c.schedule == bindparam("of_schedule"), skips.c["from"] >= bindparam("began"))

Skipped = tuple[datetime | None, Sequence[Skip]]
"""When a schedule ticked last, and what has been skipped of it since."""


def record_skips(work: Work, skipped: Mapping[str, Skipped]) -> None:
    """What goes on from the last record, for the same reason and without a tick in between, goes into that one."""
    concerned = {name: skipped[name] for name in sorted(skipped) if skipped[name][1]}
    if not concerned:
        return
    _forget_what_comes_again(work.connection, concerned)
    latest = {row.schedule: dict(row._mapping) for row in select_rows(work.connection, _LATEST, concerned)}  # noqa: SLF001 - the documented name
    counts = {name: record["count"] for name, record in latest.items()}
    records = {name: _records(name, latest.get(name), *concerned[name]) for name in concerned}
    fresh = [record for name, made in records.items() for record in made if record is not latest.get(name)]
    insert_rows(work.connection, skips, fresh)
    on_record = {name: sum(record["count"] for record in made) for name, made in records.items()}
    _count(work, {name: number - counts.get(name, 0) for name, number in on_record.items()})
    if prolonged := [_change(record) for name, record in latest.items() if record["count"] != counts[name]]:
        work.connection.execute(_PROLONG, prolonged)


def _count(work: Work, skipped: Mapping[str, int]) -> None:
    counts = Counts()
    for name, number in skipped.items():
        counts.add(Count(what=What.TICK_SKIPPED, source=name), number)
    counts.write(work)


def _forget_what_comes_again(connection: Connection, skipped: Mapping[str, Skipped]) -> None:
    """Records that begin later than what is skipped now are from before the clock was set back."""
    began = [{"of_schedule": name, "began": min(skip.since for skip in more)} for name, (_, more) in skipped.items()]
    connection.execute(_FORGET, began)


def _records(
    name: str, stored: dict[str, Any] | None, last_tick_at: datetime | None, more: Sequence[Skip]
) -> list[dict[str, Any]]:
    """The record that is stored, with what goes on from it, and those that are new."""
    records = [stored] if stored else []
    on_record = stored["to"] if stored else None
    for skip in more:
        if on_record is not None and skip.until <= on_record:
            continue  # the clock has been set back since
        if records and _goes_on(records[-1], skip, last_tick_at):
            records[-1].update(to=skip.until, count=records[-1]["count"] + skip.count)
        else:
            records.append(_record(name, skip))
    return records


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
    shown = ("from", "to", "count", "reason")
    newest = (
        select(*(skips.c[column] for column in shown))
        .where(skips.c.schedule == name)
        .order_by(skips.c["from"].desc())
        .limit(limit)
    )
    async with database.read() as connection:
        return [dict(zip(shown, row, strict=True)) for row in await connection.execute(newest)]
