"""Events: what happened, and what was decided about it; making them by hand, and replaying them."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from aiohttp import web

from gateway.core.access import Role
from gateway.core.errors import Invalid, NotFound
from gateway.core.ids import is_id
from gateway.core.request import Verb
from gateway.runtime.intake import IDEMPOTENCY_KEY
from gateway.store.accept import Accepted
from gateway.store.database import Database
from gateway.store.history import EventFilter, find_event, list_events, stored_event
from gateway.web.api.documents import Event, Listed
from gateway.web.api.given import GivenEvent
from gateway.web.edge import EDGE
from gateway.web.idempotency import Repeatable, delivery_of
from gateway.web.parameters import Acting, History, Name, parse_body, parse_query
from gateway.web.replies import reply
from gateway.web.route import Route

E = TypeVar("E")


class EventsQuery(History):
    source: Name | None = None
    type: Name | None = None
    decision: Verb | None = None


class Replaying(Acting):
    pass


async def show_events(request: web.Request) -> web.Response:
    """Events, the newest first."""
    database = request.app[EDGE].database
    query = parse_query(request, EventsQuery)
    wanted = EventFilter(**query.filters(database.now()))
    return reply(await list_events(database, wanted, query.limit, query.cursor))


async def show_event(request: web.Request) -> web.Response:
    """One event, and what was decided about it."""
    return reply(await _asked_for(request, find_event))


async def create_event(request: web.Request) -> web.Response:
    """An event by hand; answered as a hook is."""
    edge = request.app[EDGE]
    given = await parse_body(request, GivenEvent)
    event, delivery = given.happened(edge.current.snapshot.sources, edge.database.now()), delivery_of(request)
    if event.delivery and delivery:
        raise Invalid("an event is known by one key alone", errors={"id": f"goes without {IDEMPOTENCY_KEY}"})
    [accepted] = await edge.intake.accept([replace(event, delivery=event.delivery or delivery)])
    if accepted.duplicate and delivery:
        await edge.intake.refuse_another(accepted.event_id, event)
    return reply(accepted, status=202)


async def replay_event(request: web.Request) -> web.Response:
    """A stored event through today's triggers, as a new one that names the old; answered as a hook is."""
    event = await _asked_for(request, stored_event)
    await parse_body(request, Replaying)
    return reply(await request.app[EDGE].intake.replay(event), status=202)


async def _asked_for(request: web.Request, find: Callable[[Database, str], Awaitable[E | None]]) -> E:
    event_id = request.match_info["id"].lower()
    event = await find(request.app[EDGE].database, event_id) if is_id(event_id) else None
    if event is None:
        raise NotFound("there is no such event")
    return event


ROUTES = (
    Route("GET", "/api/v1/events", Role.VIEWER, show_events, query=EventsQuery, replies={200: Listed[Event]}),
    Route(
        "POST",
        "/api/v1/events",
        Role.OPERATOR,
        create_event,
        body=GivenEvent,
        headers=Repeatable,
        replies={202: Accepted},
        refuses=(NotFound,),
    ),
    Route("GET", "/api/v1/events/{id}", Role.VIEWER, show_event, replies={200: Event}),
    Route("POST", "/api/v1/events/{id}/replay", Role.OPERATOR, replay_event, body=Replaying, replies={202: Accepted}),
)
