"""Pausing and resuming: of targets, triggers, sources, single keys of these, and everything."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from gateway.core.access import Role
from gateway.core.duration import Duration
from gateway.core.errors import NotFound
from gateway.core.name import is_name
from gateway.store.pause import Kind, Pausable
from gateway.store.pauses import list_pauses
from gateway.web.access import CALLER
from gateway.web.api.documents import Document, PausablePage, Pauses
from gateway.web.edge import EDGE, Edge
from gateway.web.parameters import Acting, Key, parse_body, such_as
from gateway.web.replies import reply
from gateway.web.route import Handler, Route

Page = Callable[[Edge, str], Awaitable[dict[str, Any]]]
"""What is answered: how the paused thing is now."""


class Pausing(Acting):
    model_config = such_as(**{"for": "2h", "reason": "maintenance of the target"})

    lasting: Annotated[Duration, Field(gt=timedelta(0))] | None = Field(
        None, alias="for", description="How long, such as 2h; until it is resumed, if nothing is said."
    )


class PausingKey(Pausing):
    key: Key | None = Field(None, description="Pauses only what is requested under it.")


class Resuming(Acting):
    pass


class ResumingKey(Resuming):
    model_config = such_as(key="ams1")

    key: Key | None = None


async def pauses_of(edge: Edge, kind: Kind, name: str) -> dict[str, Any]:
    """Whether something is paused, and which of its keys are."""
    return (await pauses_by_name(edge, kind))(name)


async def pauses_by_name(edge: Edge, kind: Kind) -> Callable[[str], dict[str, Any]]:
    """The same for any of a kind, looked up at once."""
    found = defaultdict[str, dict[str, Any]](dict)
    for pause in await list_pauses(edge.database):
        if pause["kind"] == kind:
            found[pause["name"]][pause["key"]] = {field: pause[field] for field in ("by", "reason", "until")}

    def of(name: str) -> dict[str, Any]:
        keys = found.get(name, {})
        return {"paused": keys.get(""), "paused_keys": {key: keys[key] for key in keys if key}}

    return of


def routes_for(kind: Kind, page: Page, shown: type[Document] = PausablePage) -> tuple[Route, Route]:
    """Those with which things of a kind are paused and resumed; `shown` is what is on the page."""
    path, replies = f"/api/v1/{kind}s/{{name}}", {200: shown}
    return (
        Route("POST", f"{path}/pause", Role.OPERATOR, _pausing(kind, page), body=PausingKey, replies=replies),
        Route("POST", f"{path}/resume", Role.OPERATOR, _resuming(kind, page), body=ResumingKey, replies=replies),
    )


def _pausing(kind: Kind, page: Page) -> Handler:
    async def pause(request: web.Request) -> web.Response:
        """Pauses it, or what is requested under one key of it; requests queue and merge meanwhile."""
        edge, name = request.app[EDGE], await _asked_for(request, kind)
        body = await parse_body(request, PausingKey)
        what = Pausable(kind, name, body.key or "")
        await edge.pausing.pause(what, by=request[CALLER].name, reason=body.reason, lasting=body.lasting)
        return reply(await page(edge, name))

    return pause


def _resuming(kind: Kind, page: Page) -> Handler:
    async def resume(request: web.Request) -> web.Response:
        """Ends a pause."""
        edge, name = request.app[EDGE], await _asked_for(request, kind)
        body = await parse_body(request, ResumingKey)
        await edge.pausing.resume(Pausable(kind, name, body.key or ""), by=request[CALLER].name)
        return reply(await page(edge, name))

    return resume


async def _asked_for(request: web.Request, kind: Kind) -> str:
    name = request.match_info["name"]
    if not is_name(name):
        raise NotFound(f"there is no {kind} {name!r:.200}")
    await request.app[EDGE].pausing.find(kind, name)
    return name


def _page(kind: Kind) -> Page:
    async def page(edge: Edge, name: str) -> dict[str, Any]:
        return {"name": name, **await pauses_of(edge, kind, name)}

    return page


async def pause_everything(request: web.Request) -> web.Response:
    """Pauses everything.

    No call is made; events are accepted and ticks go on.
    """
    edge = request.app[EDGE]
    body = await parse_body(request, Pausing)
    what = Pausable(Kind.EVERYTHING)
    await edge.pausing.pause(what, by=request[CALLER].name, reason=body.reason, lasting=body.lasting)
    return reply({"pauses": await list_pauses(edge.database)})


async def resume_everything(request: web.Request) -> web.Response:
    """Ends the pause of everything; what is paused by itself stays so."""
    edge = request.app[EDGE]
    await parse_body(request, Resuming)
    await edge.pausing.resume(Pausable(Kind.EVERYTHING), by=request[CALLER].name)
    return reply({"pauses": await list_pauses(edge.database)})


ROUTES = (
    *routes_for(Kind.TRIGGER, _page(Kind.TRIGGER)),
    *routes_for(Kind.SOURCE, _page(Kind.SOURCE)),
    Route("POST", "/api/v1/pause", Role.OPERATOR, pause_everything, body=Pausing, replies={200: Pauses}),
    Route("POST", "/api/v1/resume", Role.OPERATOR, resume_everything, body=Resuming, replies={200: Pauses}),
)
