"""What can be looked at: events, runs, targets; reads only, and never in the way of a commit."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, Table, func, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.event import Event
from gateway.core.request import Decision
from gateway.core.run import FINAL
from gateway.store.database import Database
from gateway.store.deliveries import stored_decisions
from gateway.store.details import object_of
from gateway.store.pause import is_paused, shown
from gateway.store.pauses import in_force
from gateway.store.restore import restore_event, restore_events
from gateway.store.schema import attempts, events, is_running, is_unfinished, run_events, runs, targets
from gateway.store.waiting import NONE_HELD, Held, why_waiting

Fragment = orjson.Fragment
"""JSON text that goes out as it was stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs; what is `None` does not matter."""

    state: str | None = None
    target: str | None = None
    trigger: str | None = None
    schedule: str | None = None
    key: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events; what is `None` does not matter."""

    source: str | None = None
    type: str | None = None
    decision: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first; `next` is where the following page begins, if there is one."""

    items: list[dict[str, Any]]
    next: str | None


async def list_runs(
    database: Database, wanted: RunFilter, limit: int, before: str | None = None, held: Held = NONE_HELD
) -> Page:
    """Runs, newest first, beginning before the run with the id `before`."""
    conditions = conditions_of(wanted)
    async with database.read() as connection:
        rows = await _page(connection, runs, conditions, limit, before)
        waits = await why_waiting(connection, rows, database.now(), held)
    return Page(
        [_run(row, waits.get(row.id)) for row in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None
    )


def conditions_of(wanted: RunFilter) -> list[ColumnElement[bool]]:
    names = ("state", "target", "trigger", "schedule", "key")
    conditions = [runs.c[name] == value for name in names if (value := getattr(wanted, name)) is not None]
    return conditions + within(runs.c.created_at, wanted.since, wanted.until)


async def list_events(database: Database, wanted: EventFilter, limit: int, before: str | None = None) -> Page:
    """Events, newest first, beginning before the event with the id `before`."""
    conditions = [
        events.c[name] == value for name in ("source", "type") if (value := getattr(wanted, name)) is not None
    ]
    conditions += within(events.c.received_at, wanted.since, wanted.until)
    if wanted.decision is not None:
        conditions.append(events.c.verbs.contains(wanted.decision, autoescape=True))
    async with database.read() as connection:
        rows = await _page(connection, events, conditions, limit, before)
    return Page([_event(row) for row in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None)


async def find_run(database: Database, run_id: str, held: Held = NONE_HELD) -> dict[str, Any] | None:
    """A run with its event ids and attempts."""
    async with database.read() as connection:
        row = (await connection.execute(select(runs).where(runs.c.id == run_id))).one_or_none()
        if row is None:
            return None
        waits = await why_waiting(connection, [row], database.now(), held)
        ids = await connection.scalars(_event_ids(run_id))
        tried = await connection.execute(
            select(attempts).where(attempts.c.run_id == run_id).order_by(attempts.c.number)
        )
        return {
            **_run(row, waits.get(row.id)),
            "event_ids": list(ids.all()),
            "attempts": [{name: getattr(attempt, name) for name in _ATTEMPT_FIELDS} for attempt in tried],
        }


async def find_event(database: Database, event_id: str) -> dict[str, Any] | None:
    async with database.read() as connection:
        row = (await connection.execute(select(events).where(events.c.id == event_id))).one_or_none()
        return None if row is None else _event(row)


async def stored_event(database: Database, event_id: str) -> Event | None:
    """The event again as triggers saw it; its delivery key is left out."""
    async with database.read() as connection:
        return await connection.run_sync(restore_event, event_id)


async def decisions_on(database: Database, event_id: str) -> tuple[Decision, ...]:
    """What was decided about an event that is there."""
    async with database.read() as connection:
        stored = await connection.execute(select(events.c.decisions).where(events.c.id == event_id))
        return stored_decisions(stored.scalar_one())


async def events_of(database: Database, run_id: str, *, latest_only: bool) -> list[dict[str, Any]]:
    """What templates see of a run's events, oldest first; parsed."""
    async with database.read() as connection:
        wanted = (
            select(events).where(events.c.id.in_(_event_ids(run_id).scalar_subquery())).order_by(events.c.id.desc())
        )
        found = await connection.run_sync(restore_events, wanted.limit(1) if latest_only else wanted)
    return [event.context() for event in reversed(found)]


UNFINISHED = (
    select(
        runs.c.target,
        func.count().filter(is_running).label("running"),
        func.count().filter(~is_running).label("waiting"),
    )
    .where(is_unfinished)
    .group_by(runs.c.target)
    .subquery()
)
"""How many of each target's runs there are, of those that are not over."""


async def list_targets(
    database: Database, names: Iterable[str] | None = None, held: Held = NONE_HELD
) -> list[dict[str, Any]]:
    """What the store knows of targets: pause, breaker, runs in progress and waiting.

    Takes as long as there are unfinished runs, however many have ended.
    """
    numbers = [func.coalesce(UNFINISHED.c[name], 0).label(name) for name in ("running", "waiting")]
    query = select(targets, *numbers).outerjoin(UNFINISHED, UNFINISHED.c.target == targets.c.name)
    if names is not None:
        query = query.where(targets.c.name.in_(list(names)))
    async with database.read() as connection:
        rows = await connection.execute(query.order_by(targets.c.name))
        now = database.now()
        of_everything = (await connection.run_sync(in_force, now)).of_everything
        return [_target(row, of_everything, now, is_held=row.name in held) for row in rows]


async def list_outcomes(database: Database, target: str, limit: int) -> list[dict[str, Any]]:
    """What became of a target's runs, those that are over; newest first."""
    names = ("id", "state", "finished_at", "reason")
    ended = select(*(runs.c[name] for name in names)).where(runs.c.target == target, runs.c.state.in_([*FINAL]))
    async with database.read() as connection:
        rows = await connection.execute(ended.order_by(runs.c.id.desc()).limit(limit))
        return [{name: getattr(row, name) for name in names} for row in rows]


async def _page(
    connection: AsyncConnection, table: Table, conditions: list[ColumnElement[bool]], limit: int, before: str | None
) -> list[Any]:
    if before is not None:
        conditions = [*conditions, table.c.id < before]
    query: Select[Any] = select(table).where(*conditions).order_by(table.c.id.desc()).limit(limit + 1)
    return list((await connection.execute(query)).all())


def within(column: Any, since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    bounds = [] if since is None else [column >= since]
    return bounds if until is None else [*bounds, column < until]


def _event_ids(run_id: str) -> Any:
    first = select(runs.c.event_id).where(runs.c.id == run_id, runs.c.event_id.is_not(None))
    merged = select(run_events.c.event_id).where(run_events.c.run_id == run_id)
    both = union(first, merged).subquery()
    return select(both.c.event_id).order_by(both.c.event_id)


_RUN_FIELDS = (
    *("id", "state", "target", "trigger", "schedule", "key", "created_at", "due_at", "started_at", "finished_at"),
    *("attempt", "events", "reason", "requested_by", "retried_from", "superseded_by", "origin_event_id"),
    *("scheduled_for", "missed"),
)
_ATTEMPT_FIELDS = ("number", "node", "started_at", "finished_at", "outcome", "status", "reason", "log")


def _run(row: Any, waiting_for: str | None) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in _RUN_FIELDS},
        "late_by": _late_by(row),
        "payload": Fragment(row.payload),
        "progress": _stored(row.progress),
        "output": _stored(row.output),
        "cancelling": row.cancelling,
        "waiting_for": waiting_for,
    }


def _stored(text: bytes | None) -> Fragment | None:
    return None if text is None else Fragment(text)


def _late_by(row: Any) -> float | None:
    """Seconds from the instant for which it was scheduled to its start."""
    if row.scheduled_for is None or row.started_at is None:
        return None
    late: timedelta = row.started_at - row.scheduled_for
    return late.total_seconds()


def _event(row: Any) -> dict[str, Any]:
    details = orjson.loads(row.details)
    decisions = orjson.loads(row.decisions)
    names = ("id", "sender_id", "source", "type", "subject", "time", "received_at", "deliveries")
    return {
        **{name: getattr(row, name) for name in names},
        "data": Fragment(row.body),
        "object": object_of(details, orjson.loads(row.body)),
        **{name: details[name] for name in ("changed", "headers")},
        "replay_of": details.get("replay_of"),
        "decisions": decisions,
        "run_ids": list(dict.fromkeys(decision["run_id"] for decision in decisions if decision["run_id"])),
    }


def _target(row: Any, of_everything: Any | None, now: datetime, *, is_held: bool) -> dict[str, Any]:
    paused = row if is_paused(row, now) else of_everything
    is_open = row.open_until is not None
    return {
        "name": row.name,
        "state": "paused" if paused is not None else "unreachable" if is_open else "held" if is_held else "ready",
        "paused": None if paused is None else shown(paused),
        "breaker": {"failures": row.breaker_failures, "open_until": row.open_until} if is_open else None,
        "running": row.running,
        "waiting": row.waiting,
    }
