"""Events: what happened, and what was decided about it."""

from aiohttp import web

from gateway.core.access import Role
from gateway.core.errors import NotFound
from gateway.core.ids import is_id
from gateway.core.request import Verb
from gateway.store.history import EventFilter, find_event, list_events
from gateway.web.edge import EDGE
from gateway.web.parameters import History, Name, parse_query
from gateway.web.replies import reply
from gateway.web.route import Route


class EventsQuery(History):
    source: Name | None = None
    type: Name | None = None
    decision: Verb | None = None


async def show_events(request: web.Request) -> web.Response:
    database = request.app[EDGE].database
    query = parse_query(request, EventsQuery)
    wanted = EventFilter(**query.filters(database.now()))
    return reply(await list_events(database, wanted, query.limit, query.cursor))


async def show_event(request: web.Request) -> web.Response:
    event_id = request.match_info["id"].lower()
    event = await find_event(request.app[EDGE].database, event_id) if is_id(event_id) else None
    if event is None:
        raise NotFound("there is no such event")
    return reply(event)


ROUTES = (
    Route("GET", "/api/v1/events", Role.VIEWER, show_events, query=EventsQuery),
    Route("GET", "/api/v1/events/{id}", Role.VIEWER, show_event),
)
