"""Targets: how they are; running, pausing and resuming them by hand."""

from typing import Any

from aiohttp import web
from pydantic import Field

from gateway.core.access import Role
from gateway.core.errors import NotFound, Unmappable
from gateway.store.history import list_outcomes, list_targets
from gateway.store.pause import Kind
from gateway.web.access import CALLER
from gateway.web.api.documents import Listed, RunPage, Target, TargetPage
from gateway.web.api.pausing import pauses_of, routes_for
from gateway.web.api.waiting import RunQuery, reply_with_run
from gateway.web.edge import EDGE, Edge
from gateway.web.idempotency import Repeatable, delivery_of
from gateway.web.parameters import Acting, Instant, Key, Name, Page, parse_body, parse_query, such_as
from gateway.web.replies import reply
from gateway.web.route import Route

OUTCOMES = 10


class TargetsQuery(Page):
    cursor: Name | None = None


class Running(Acting):
    model_config = such_as(payload={"site": "ams1"}, key="ams1")

    payload: Any = Field(default_factory=dict, description="What the target is given, literally.")
    key: Key | None = Field(None, description="Merges with a run of the same key that waits.")
    due_at: Instant | None = None


async def show_targets(request: web.Request) -> web.Response:
    """The targets of the configuration, by name."""
    edge = request.app[EDGE]
    query = parse_query(request, TargetsQuery)
    after = sorted(name for name in edge.current.snapshot.targets if name > (query.cursor or ""))
    page = after[: query.limit]
    items = await _described(edge, page)
    return reply({"items": items, "next": page[-1] if len(after) > query.limit else None})


async def show_target(request: web.Request) -> web.Response:
    """One target, with the runs of it that ended last."""
    edge, name = request.app[EDGE], _name(request)
    return reply(await _on_its_own_page(edge, name))


async def run_target(request: web.Request) -> web.Response:
    """A run by hand.

    With `wait`, `200` and the finished run if it ends in that time; else `202` and the run as it is.
    """
    edge, name = request.app[EDGE], _name(request)
    query = parse_query(request, RunQuery)
    body = await parse_body(request, Running)
    decision = await edge.intake.run(
        name,
        payload=body.payload,
        key=body.key,
        due_at=body.due_at,
        by=request[CALLER].name,
        delivery=delivery_of(request),
    )
    return await reply_with_run(request, decision, query.wait)


def _name(request: web.Request) -> str:
    name = request.match_info["name"]
    if name not in request.app[EDGE].current.snapshot.targets:
        raise NotFound(f"there is no target {name!r:.200}")
    return name


async def _described(edge: Edge, names: list[str]) -> list[dict[str, Any]]:
    known = edge.current.snapshot.targets
    rows = await list_targets(edge.database, names, edge.held)
    return [{**row, "kind": known[row["name"]].settings.kind} for row in rows if row["name"] in known]


async def _on_its_own_page(edge: Edge, name: str) -> dict[str, Any]:
    described = await _described(edge, [name])
    if not described:
        raise NotFound(f"there is no target {name!r:.200}")
    paused_keys = (await pauses_of(edge, Kind.TARGET, name))["paused_keys"]
    outcomes = await list_outcomes(edge.database, name, OUTCOMES)
    return {**described[0], "paused_keys": paused_keys, "last_outcomes": outcomes}


ROUTES = (
    Route("GET", "/api/v1/targets", Role.VIEWER, show_targets, query=TargetsQuery, replies={200: Listed[Target]}),
    Route("GET", "/api/v1/targets/{name}", Role.VIEWER, show_target, replies={200: TargetPage}),
    Route(
        "POST",
        "/api/v1/targets/{name}/run",
        Role.OPERATOR,
        run_target,
        query=RunQuery,
        body=Running,
        headers=Repeatable,
        replies={200: RunPage, 202: RunPage},
        refuses=(Unmappable,),
    ),
    *routes_for(Kind.TARGET, _on_its_own_page, TargetPage),
)
