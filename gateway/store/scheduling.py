"""What people and the leader do to schedules: create, replace, remove, pause, resume, look at again.

What is written here only says that a schedule shall be looked at: its times are for the leader to compute, who does so
at once.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, delete, update

from gateway.core.errors import Conflict, NotFound
from gateway.store.bulk import insert_rows
from gateway.store.database import notify
from gateway.store.leadership import Leading, NotLeading, refusal
from gateway.store.pause import NOT_PAUSED, Pause
from gateway.store.schedules import Definition, Origin, StoredSchedule, lock_schedules
from gateway.store.schema import schedules, skips
from gateway.store.writer import Work

REMEMBERED = timedelta(hours=24)
"""How long the cursor of a schedule is kept that has gone from the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """A definition that comes through the API: of a schedule that is new, or that exists."""

    definition: Definition
    by: str
    is_new: bool


def write_schedules(work: Work, writings: Sequence[Writing]) -> list[Conflict | NotFound | None]:
    """Creates and replaces schedules, as far as they are the API's."""
    known = lock_schedules(work.connection, [writing.definition.name for writing in writings])
    results = [_write_one(work, writing, known) for writing in writings]
    _announce(work.connection)
    return results


def _write_one(work: Work, writing: Writing, known: dict[str, StoredSchedule]) -> Conflict | NotFound | None:
    name, old = writing.definition.name, known.get(writing.definition.name)
    obstacle = _obstacle(name, known)
    if work.repeated and obstacle is None and known[name].definition == writing.definition.fields:
        return None  # a commit of unknown fate had written it after all
    if writing.is_new and obstacle is None:
        return Conflict(f"there is a schedule {name!r} already")
    if obstacle is not None and not (writing.is_new and isinstance(obstacle, NotFound)):
        return obstacle
    if old is not None and old.removed_at is not None:
        work.connection.execute(delete(schedules).where(schedules.c.name == name))
        old = None
    known[name] = _defined(writing.definition, Origin.API, writing.by, old, work.now)
    _put(work, [(known[name], old)])
    return None


def _obstacle(name: str, known: dict[str, StoredSchedule]) -> Conflict | NotFound | None:
    """Why the API may not touch it."""
    if missing := _missing(name, known):
        return missing
    if known[name].origin == Origin.FILE:
        return Conflict(f"the schedule {name!r} is defined in the configuration file")
    return None


def _put(work: Work, puts: Sequence[tuple[StoredSchedule, StoredSchedule | None]]) -> None:
    """Writes schedules, each with what was stored before."""
    insert_rows(work.connection, schedules, [asdict(put) for put, old in puts if old is None])
    for put, old in puts:
        if old is not None:
            work.connection.execute(update(schedules).where(schedules.c.name == put.name).values(asdict(put)))


def _defined(
    new: Definition, origin: Origin, by: str | None, old: StoredSchedule | None, now: datetime
) -> StoredSchedule:
    return _replaced(new, origin, by, old, now) if old else _created(new, origin, by, now)


def _created(new: Definition, origin: Origin, by: str | None, now: datetime) -> StoredSchedule:
    """There is nothing to catch up with from before its creation."""
    return StoredSchedule(
        name=new.name,
        origin=origin,
        definition=new.fields,
        timing=new.timing,
        timezone=new.timezone,
        zone_rules=new.zone_rules,
        continuous=new.continuous,
        enabled=new.on,
        version=1,
        anchor=now.replace(microsecond=0),
        cursor=now,
        next_at=now if new.on else None,
        created_at=now,
        updated_at=now,
        updated_by=by,
    )


def _replaced(new: Definition, origin: Origin, by: str | None, old: StoredSchedule, now: datetime) -> StoredSchedule:
    """The cursor stays where the timing does, and where it has been on all the time."""
    fresh = _created(new, origin, by, now)
    same = old.timing == new.timing
    return replace(
        fresh,
        version=old.version + 1,
        anchor=old.anchor if same else fresh.anchor,
        cursor=old.cursor if same and old.enabled else now,
        next_at=old.paused_until if new.on and old.is_paused(now) else fresh.next_at,
        ticks=old.ticks,
        failures=old.failures if same else 0,
        last_tick_at=old.last_tick_at,
        last_run_id=old.last_run_id,
        paused=old.paused,
        paused_until=old.paused_until,
        paused_by=old.paused_by,
        pause_reason=old.pause_reason,
        created_at=old.created_at,
    )


def remove_schedules(work: Work, names: Sequence[str]) -> list[Conflict | NotFound | None]:
    """Deletes schedules of the API. Their runs stay."""
    known = lock_schedules(work.connection, names)
    obstacles = [None if work.repeated and name not in known else _obstacle(name, known) for name in names]
    gone = [name for name, obstacle in zip(names, obstacles, strict=True) if obstacle is None]
    work.connection.execute(delete(schedules).where(schedules.c.name.in_(gone)))
    work.connection.execute(delete(skips).where(skips.c.schedule.in_(gone)))
    return obstacles


def pause_schedules(work: Work, pauses: Sequence[Pause]) -> list[NotFound | None]:
    """No ticks meanwhile, and none to catch up with afterwards."""
    known = lock_schedules(work.connection, [pause.what.name for pause in pauses])
    results = [_missing(pause.what.name, known) for pause in pauses]
    for pause, missing in zip(pauses, results, strict=True):
        if missing is None:
            next_at = pause.until(work.now) if known[pause.what.name].enabled else None
            _change(work.connection, pause.what.name, {**pause.values(work.now), "next_at": next_at})
    _announce(work.connection)
    return results


def resume_schedules(work: Work, names: Sequence[str]) -> list[NotFound | None]:
    """Ends pauses; what was due in one is not made up for."""
    known = lock_schedules(work.connection, names)
    results = [_missing(name, known) for name in names]
    for name, missing in zip(names, results, strict=True):
        if missing is None and known[name].is_paused(work.now):
            next_at = work.now if known[name].enabled else None
            _change(work.connection, name, {**NOT_PAUSED, "cursor": work.now, "next_at": next_at})
    _announce(work.connection)
    return results


def _missing(name: str, known: dict[str, StoredSchedule]) -> NotFound | None:
    old = known.get(name)
    return NotFound(f"there is no schedule {name!r}") if old is None or old.removed_at is not None else None


def _change(connection: Connection, name: str, values: dict[str, Any]) -> None:
    changed = update(schedules).where(schedules.c.name == name)
    connection.execute(changed.values(**values, version=schedules.c.version + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """What the leader's file says differently from what is stored; a name without a definition has gone from it."""

    leading: Leading
    name: str
    definition: Definition | None


def follow_file(work: Work, changes: Sequence[FileChange]) -> list[NotLeading | None]:
    """Makes the stored schedules those of the leader's file, which wins over an API schedule of the same name."""
    if refused := refusal(work, (change.leading for change in changes)):
        return [refused for _ in changes]
    work.connection.execute(delete(schedules).where(schedules.c.removed_at < work.now - REMEMBERED))
    known = lock_schedules(work.connection, [change.name for change in changes])
    defined = [(change.definition, known.get(change.name)) for change in changes if change.definition is not None]
    _put(work, [(_defined(new, Origin.FILE, None, old, work.now), old) for new, old in defined])
    for name in (change.name for change in changes if change.definition is None and change.name in known):
        _change(work.connection, name, {"removed_at": work.now, "next_at": None})
    return [None for _ in changes]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAgain:
    """A schedule whose times have to be worked out anew: its zone has changed, or the clock."""

    leading: Leading
    name: str


def look_again(work: Work, wanted: Sequence[LookAgain]) -> list[NotLeading | None]:
    """Has them looked at now, unless they make no ticks."""
    if refused := refusal(work, (one.leading for one in wanted)):
        return [refused for _ in wanted]
    names = [one.name for one in wanted]
    lock_schedules(work.connection, names)
    looked_at = (
        schedules.c.name.in_(names) & schedules.c.enabled & ~schedules.c.paused & schedules.c.removed_at.is_(None)
    )
    work.connection.execute(update(schedules).where(looked_at).values(next_at=work.now))
    return [None for _ in wanted]


def _announce(connection: Connection) -> None:
    notify(connection, orjson.dumps({"schedules": None}).decode())
