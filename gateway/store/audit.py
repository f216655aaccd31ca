"""The audit trail: who did what by hand, when, why, and what came of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select

from gateway.store.database import Database
from gateway.store.history import Page, within
from gateway.store.schema import audit

_FIELDS = ("id", "at", "actor", "address", "action", "kind", "name", "reason", "outcome", "count")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which acts; what is `None` does not matter."""

    actor: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def list_audit(database: Database, wanted: AuditFilter, limit: int, before: str | None = None) -> Page:
    """Acts, newest first, beginning before the one with the id `before`."""
    names = ("actor", "action")
    conditions = [audit.c[name] == value for name in names if (value := getattr(wanted, name)) is not None]
    conditions += within(audit.c.at, wanted.since, wanted.until)
    if before is not None:
        conditions.append(audit.c.id < before)
    async with database.read() as connection:
        newest = select(audit).where(*conditions).order_by(audit.c.id.desc()).limit(limit + 1)
        rows = (await connection.execute(newest)).all()
    return Page([_shown(row) for row in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None)


def _shown(row: Any) -> dict[str, Any]:
    asked = None if row.asked is None else orjson.Fragment(row.asked)
    return {**{name: getattr(row, name) for name in _FIELDS}, "asked": asked}
