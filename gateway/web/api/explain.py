"""What an event would come to, and why."""

from typing import Self

from aiohttp import web
from pydantic import model_validator

from gateway.core.access import Role
from gateway.core.errors import NotFound
from gateway.core.event import Event
from gateway.core.ids import is_id
from gateway.runtime.explain import Explanation, explain
from gateway.store.history import stored_event
from gateway.web.api.given import GivenEvent
from gateway.web.edge import EDGE, Edge
from gateway.web.parameters import Model, Name, parse_body, such_as
from gateway.web.replies import reply
from gateway.web.route import Route


class Explaining(Model):
    """An event that has been, or one that might come."""

    model_config = such_as(event={"source": "api", "type": "site.moved", "data": {"site": "ams1"}})

    event_id: Name | None = None
    event: GivenEvent | None = None

    @model_validator(mode="after")
    def _check_one_event(self) -> Self:
        if (self.event_id is None) == (self.event is None):
            raise ValueError("expected either event_id or event")
        return self


async def explain_event(request: web.Request) -> web.Response:
    """What an event would come to, and why; changes nothing."""
    edge = request.app[EDGE]
    event = await _event(edge, await parse_body(request, Explaining))
    return reply(await explain(edge.database, edge.current.snapshot, event))


async def _event(edge: Edge, wanted: Explaining) -> Event:
    """Raises `NotFound`."""
    if wanted.event is not None:
        return wanted.event.happened(edge.current.snapshot.sources, edge.database.now())
    event_id = (wanted.event_id or "").lower()
    event = await stored_event(edge.database, event_id) if is_id(event_id) else None
    if event is None:
        raise NotFound("there is no such event")
    return event


ROUTES = (
    Route(
        "POST",
        "/api/v1/explain",
        Role.VIEWER,
        explain_event,
        body=Explaining,
        replies={200: Explanation},
        refuses=(NotFound,),
    ),
)
