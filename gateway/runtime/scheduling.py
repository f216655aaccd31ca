"""Scheduling: the door through which people define, change, pause and force schedules."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import ConfigDict, ValidationError

from gateway.core.errors import Conflict, Invalid, TemplateError, Unmappable
from gateway.core.event import Delivery, Event
from gateway.core.misfire import Tick
from gateway.core.name import RESERVED, Name
from gateway.core.plan import Lanes, render, seen_at_accept
from gateway.core.request import Decision, Priority, Request
from gateway.core.schedule import EXAMPLE, Schedule, literal
from gateway.core.tick import tick_event
from gateway.core.times import HORIZON
from gateway.core.timing import instant_of
from gateway.core.wording import did_you_mean, wrong_fields
from gateway.runtime.intake import Intake, manual_event
from gateway.runtime.snapshot import Current, Snapshot
from gateway.runtime.ticks import define, schedule_of
from gateway.store.database import Database
from gateway.store.pause import Kind, Pausable, Pause
from gateway.store.schedules import Definition, StoredSchedule
from gateway.store.scheduling import (
    Writing,
    pause_schedules,
    remove_schedules,
    resume_schedules,
    write_schedules,
)

Fields = Mapping[str, Any]
"""Those of the YAML. Whatever they hold is meant literally: templates come from the configuration only."""


class NewSchedule(Schedule):
    """A schedule, and what it shall be called."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "nightly", **EXAMPLE}]})

    name: Name


class Scheduling:
    """All methods raise `Unavailable` where the database cannot commit now, and `NotFound` for an unknown schedule."""

    def __init__(self, database: Database, current: Current, intake: Intake, wake: Callable[[], None]) -> None:
        self._database = database
        self._current = current
        self._intake = intake
        self._wake = wake

    async def create(self, fields: Fields, *, by: str) -> str:
        """Defines a schedule, whose `name` is one of the fields, and returns that name.

        Raises `Invalid`, and `Conflict` for a name that is taken.
        """
        definition = await self._define(NewSchedule, None, fields)
        _refuse_taken(definition.name, self._current.snapshot)
        await self._write(Writing(definition=definition, by=by, is_new=True))
        return definition.name

    async def replace(self, name: str, fields: Fields, *, by: str) -> None:
        """Raises `Invalid`, and `Conflict` for a schedule of the file."""
        definition = await self._define(Schedule, name, fields)
        await self._write(Writing(definition=definition, by=by, is_new=False))

    async def remove(self, name: str) -> None:
        """Raises `Conflict` for a schedule of the file."""
        await self._database.commit(remove_schedules, name)

    async def pause(self, name: str, *, by: str, reason: str | None, lasting: timedelta | None) -> None:
        """No more ticks, for so long or until it is resumed."""
        await self._database.commit(
            pause_schedules, Pause(what=Pausable(Kind.SCHEDULE, name), by=by, reason=reason, lasting=lasting)
        )
        self._wake()

    async def resume(self, name: str) -> None:
        await self._database.commit(resume_schedules, name)
        self._wake()

    async def run(self, stored: StoredSchedule, *, by: str, delivery: Delivery | None = None) -> Decision:
        """Requests the target of a schedule now; its ticks come as before. Raises `Unmappable` where it has none."""
        snapshot = self._current.snapshot
        schedule = _readable(stored, snapshot)
        if schedule.target is None:
            raise Unmappable("this schedule has no target: triggers listen to its ticks")
        if schedule.target not in snapshot.targets:
            raise Unmappable(f"there is no target {schedule.target!r}")
        event = _forced_event(stored.name, self._database.now(), by, delivery)
        return await self._intake.request(event, _forced(schedule, schedule.target, event, snapshot.lanes, by))

    async def _define(self, model: type[Schedule], name: str | None, fields: Fields) -> Definition:
        """In a thread: what is meant to do harm may take long to refuse."""
        return await asyncio.to_thread(_defined, model, name, fields, self._current.snapshot, self._database.now())

    async def _write(self, writing: Writing) -> None:
        await self._database.commit(write_schedules, writing)
        self._wake()


def _defined(model: type[Schedule], name: str | None, fields: Fields, snapshot: Snapshot, now: datetime) -> Definition:
    """What to store; without `name`, that is one of the fields. Raises `Invalid` with all that is wrong."""
    errors = _unknown_names(fields, snapshot)
    try:
        schedule = model.model_validate(literal(fields))
    except ValidationError as error:
        raise _invalid(errors | wrong_fields(error)) from error
    _refuse(errors)
    name = name or str(fields["name"])
    _refuse(_never_due(name, schedule, now))
    if schedule.target is None and not snapshot.listeners(name):
        _refuse({"target": "is missing, and no trigger listens to this schedule"})
    return define(name, schedule)


def _refuse(errors: dict[str, str]) -> None:
    if errors:
        raise _invalid(errors)


def _invalid(errors: dict[str, str]) -> Invalid:
    return Invalid("the schedule is not as expected", errors=errors)


def _unknown_names(fields: Fields, snapshot: Snapshot) -> dict[str, str]:
    """Names that lead nowhere, as far as they are names."""
    known = {"target": ("target", snapshot.targets), "not_during": ("window", snapshot.windows)}
    return {
        field: f"there is no {what} {fields[field]!r:.120}{did_you_mean(fields[field], names)}"
        for field, (what, names) in known.items()
        if isinstance(fields.get(field), str) and fields[field] not in names
    }


def _never_due(name: str, schedule: Schedule, now: datetime) -> dict[str, str]:
    """Why nothing would ever happen, although it is on."""
    _, end = schedule.bounds
    if not schedule.is_on:
        return {}
    if end and end <= now:
        return {"end": "is over already: nothing would ever happen"}
    if schedule.at and instant_of(schedule.at, schedule.timezone) <= now:
        return {"at": "is over already: nothing would ever happen"}
    if not schedule.continuous:
        first = schedule.due_times(name, now).after(now)
        if first is None or first > now + HORIZON:
            kind = next(kind for kind in Schedule.KINDS if getattr(schedule, kind) is not None)
            return {kind: "is not due within eight years"}
    return {}


def _refuse_taken(name: str, snapshot: Snapshot) -> None:
    if name in RESERVED:
        raise Conflict(f"the name {name!r} is reserved")
    if name in snapshot.sources:
        raise Conflict(f"there is a source {name!r}: sources and schedules share their names")


def _readable(stored: StoredSchedule, snapshot: Snapshot) -> Schedule:
    try:
        schedule = schedule_of(stored, snapshot)
    except ValueError as error:
        raise Unmappable(f"its definition cannot be understood any more: {error}") from error
    if schedule is None:
        raise Unmappable("the configuration of this node does not have it")
    return schedule


def _forced_event(name: str, now: datetime, by: str, delivery: Delivery | None) -> Event:
    """With the data of a tick, since that is what the payload is made from."""
    data: dict[str, Any] = tick_event(name, Tick(instant=now), now).data
    return manual_event(name, {**data, "requested_by": by}, now, delivery)


def _forced(schedule: Schedule, target: str, event: Event, lanes: Lanes, by: str) -> Request:
    context = seen_at_accept(event, event.received_at)
    try:
        rendered = render(schedule, None, context, lanes)
    except TemplateError as error:
        raise Unmappable(str(error)) from error
    return Request(
        target=target,
        payload=rendered.payload,
        schedule=event.subject,
        priority=Priority.HIGH,
        lane=rendered.lane,
        requested_by=by,
    )
