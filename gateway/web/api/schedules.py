"""Schedules: what they are and what is to come of them; defining, forcing, pausing and resuming them."""

import asyncio
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import orjson
from aiohttp import web
from pydantic import Field

from gateway.core.access import Role
from gateway.core.errors import Conflict, NotFound, Unmappable
from gateway.core.name import is_name
from gateway.core.schedule import Schedule
from gateway.runtime.scheduling import NewSchedule
from gateway.runtime.snapshot import Snapshot
from gateway.runtime.ticks import parsed
from gateway.runtime.upcoming import instants, upcoming
from gateway.store.schedules import StoredSchedule, find_schedule, list_schedules
from gateway.store.skips import list_skips
from gateway.web.access import CALLER
from gateway.web.api.documents import Listed, RunPage, SchedulePage, ScheduleSummary, Upcoming
from gateway.web.api.pausing import Pausing, Resuming
from gateway.web.api.waiting import RunQuery, reply_with_run
from gateway.web.edge import EDGE, Edge
from gateway.web.idempotency import Repeatable, delivery_of
from gateway.web.parameters import Acting, Model, Name, Page, parse_body, parse_object, parse_query
from gateway.web.replies import reply
from gateway.web.route import Route

SKIPPED = 20
UPCOMING = 5


class SchedulesQuery(Page):
    cursor: Name | None = None


class UpcomingQuery(Model):
    hours: int = Field(24, ge=1, le=366 * 24)


class Forcing(Acting):
    pass


async def show_schedules(request: web.Request) -> web.Response:
    """All schedules, by name."""
    edge = request.app[EDGE]
    query = parse_query(request, SchedulesQuery)
    listed = await list_schedules(edge.database, query.limit + 1, query.cursor or "")
    page = listed[: query.limit]
    items = await asyncio.to_thread(_shown, page, edge.current.snapshot, edge.database.now())
    return reply({"items": items, "next": page[-1].name if len(listed) > query.limit else None})


async def create_schedule(request: web.Request) -> web.Response:
    """A new schedule.

    The body is what the file says of one, and its name; nothing in it is a template.
    """
    edge = request.app[EDGE]
    fields = await parse_object(request)
    name = await edge.scheduling.create(fields, by=request[CALLER].name)
    return reply(await _on_its_own_page(edge, name), status=201)


async def show_schedule(request: web.Request) -> web.Response:
    """One schedule, with its next ticks and those that were skipped."""
    return reply(await _on_its_own_page(request.app[EDGE], request.match_info["name"]))


async def replace_schedule(request: web.Request) -> web.Response:
    """Another definition for a schedule that is not of the file."""
    edge, stored = request.app[EDGE], await _asked_for(request)
    fields = await parse_object(request)
    await edge.scheduling.replace(stored.name, fields, by=request[CALLER].name)
    return reply(await _on_its_own_page(edge, stored.name))


async def remove_schedule(request: web.Request) -> web.Response:
    """Removes a schedule that is not of the file."""
    stored = await _asked_for(request)
    await request.app[EDGE].scheduling.remove(stored.name)
    return web.Response(status=204)


async def run_schedule(request: web.Request) -> web.Response:
    """One run now; the cadence stays.

    As running its target by hand, with its payload.
    """
    stored = await _asked_for(request)
    query = parse_query(request, RunQuery)
    await parse_body(request, Forcing)
    scheduling, delivery = request.app[EDGE].scheduling, delivery_of(request)
    decision = await scheduling.run(stored, by=request[CALLER].name, delivery=delivery)
    return await reply_with_run(request, decision, query.wait)


async def pause_schedule(request: web.Request) -> web.Response:
    """No more ticks, for so long or until it is resumed; what is missed is not made up for."""
    edge, name = request.app[EDGE], (await _asked_for(request)).name
    body = await parse_body(request, Pausing)
    await edge.scheduling.pause(name, by=request[CALLER].name, reason=body.reason, lasting=body.lasting)
    return reply(await _on_its_own_page(edge, name))


async def resume_schedule(request: web.Request) -> web.Response:
    """Ends a pause."""
    edge, name = request.app[EDGE], (await _asked_for(request)).name
    await parse_body(request, Resuming)
    await edge.scheduling.resume(name)
    return reply(await _on_its_own_page(edge, name))


async def show_upcoming(request: web.Request) -> web.Response:
    """The ticks to come, by time."""
    edge = request.app[EDGE]
    query = parse_query(request, UpcomingQuery)
    found = await upcoming(edge.database, edge.current.snapshot.windows, timedelta(hours=query.hours))
    return await asyncio.to_thread(reply, found)


async def _asked_for(request: web.Request) -> StoredSchedule:
    return await _find(request.app[EDGE], request.match_info["name"])


async def _find(edge: Edge, name: str) -> StoredSchedule:
    stored = await find_schedule(edge.database, name) if is_name(name) else None
    if stored is None:
        raise NotFound(f"there is no schedule {name!r:.200}")
    return stored


async def _on_its_own_page(edge: Edge, name: str) -> dict[str, Any]:
    stored = await _find(edge, name)
    snapshot, now = edge.current.snapshot, edge.database.now()
    [shown] = await asyncio.to_thread(_shown, [stored], snapshot, now, count=UPCOMING)
    return {**shown, "skipped": await list_skips(edge.database, name, SKIPPED)}


def _shown(
    page: list[StoredSchedule], snapshot: Snapshot, now: datetime, count: int | None = None
) -> list[dict[str, Any]]:
    """Schedules as the API has them, each with so many of its next instants if that is asked for."""
    return [_one(stored, snapshot, now, count) for stored in page]


def _one(stored: StoredSchedule, snapshot: Snapshot, now: datetime, count: int | None) -> dict[str, Any]:
    names = {"name": stored.name, "origin": stored.origin}
    try:
        schedule = parsed(stored.definition)
    except ValueError as error:
        waiting_for = f"its definition to be mended: {error}"
        return {**names, **_state(stored, now), "next_due": None, "waiting_for": waiting_for}
    coming = list(islice(instants(stored, schedule, snapshot.windows, now), count or 1))
    shown = {
        **names,
        **orjson.loads(stored.definition),
        **_state(stored, now),
        "next_due": coming[0] if coming else None,
        "waiting_for": _waiting_for(stored, schedule, snapshot, now, is_over=not coming),
    }
    return shown if count is None else {**shown, "upcoming": coming}


def _waiting_for(
    stored: StoredSchedule, schedule: Schedule, snapshot: Snapshot, now: datetime, *, is_over: bool
) -> str | None:
    """What has to happen before it runs again, beside its time to come."""
    if not stored.enabled:
        return "to be switched on"
    if stored.is_paused(now):
        return "to be resumed" + (f": {stored.pause_reason}" if stored.pause_reason else "")
    if schedule.target is not None and schedule.target not in snapshot.targets:
        return f"a configuration that has the target {schedule.target!r}"
    if schedule.continuous:
        return "the end of its last run"
    return "nothing: it is over, or never outside its window" if is_over else None


def _state(stored: StoredSchedule, now: datetime) -> dict[str, Any]:
    pause = {"by": stored.paused_by, "reason": stored.pause_reason, "until": stored.paused_until}
    return {
        "enabled": stored.enabled,
        "paused": pause if stored.is_paused(now) else None,
        "last_tick_at": stored.last_tick_at,
        "last_run_id": stored.last_run_id,
        "ticks": stored.ticks,
        "created_at": stored.created_at,
        "updated_at": stored.updated_at,
        "updated_by": stored.updated_by,
    }


_PATH = "/api/v1/schedules"
_ONE = f"{_PATH}/{{name}}"
_SHOWN = {200: SchedulePage}
ROUTES = (
    Route("GET", _PATH, Role.VIEWER, show_schedules, query=SchedulesQuery, replies={200: Listed[ScheduleSummary]}),
    Route(
        "POST",
        _PATH,
        Role.ADMIN,
        create_schedule,
        body=NewSchedule,
        replies={201: SchedulePage},
        refuses=(Conflict,),
    ),
    Route("GET", f"{_PATH}/upcoming", Role.VIEWER, show_upcoming, query=UpcomingQuery, replies={200: Upcoming}),
    Route("GET", _ONE, Role.VIEWER, show_schedule, replies=_SHOWN),
    Route("PUT", _ONE, Role.ADMIN, replace_schedule, body=Schedule, replies=_SHOWN, refuses=(Conflict,)),
    Route("DELETE", _ONE, Role.ADMIN, remove_schedule, replies={204: None}, refuses=(Conflict,)),
    Route(
        "POST",
        f"{_ONE}/run",
        Role.OPERATOR,
        run_schedule,
        query=RunQuery,
        body=Forcing,
        headers=Repeatable,
        replies={200: RunPage, 202: RunPage},
        refuses=(Unmappable,),
    ),
    Route("POST", f"{_ONE}/pause", Role.OPERATOR, pause_schedule, body=Pausing, replies=_SHOWN),
    Route("POST", f"{_ONE}/resume", Role.OPERATOR, resume_schedule, body=Resuming, replies=_SHOWN),
)
