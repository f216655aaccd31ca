"""Runs: what became of requests; cancelling and retrying them."""

from datetime import datetime
from typing import Any

from aiohttp import web

from gateway.core.access import Role
from gateway.core.errors import Conflict, NotFound, Unmappable
from gateway.core.ids import is_id
from gateway.core.request import Decision
from gateway.core.run import State
from gateway.store.history import RunFilter, find_run, list_runs
from gateway.web.access import CALLER
from gateway.web.api.documents import Listed, Run, RunPage
from gateway.web.edge import EDGE, Edge
from gateway.web.parameters import Acting, InstantOrAge, Model, Name, Page, in_time, parse_body, parse_query, such_as
from gateway.web.replies import reply
from gateway.web.route import Route


class Runs(Model):
    """Those that have all of this in common."""

    state: State | None = None
    target: Name | None = None
    trigger: Name | None = None
    schedule: Name | None = None
    key: Name | None = None
    since: InstantOrAge | None = None
    until: InstantOrAge | None = None

    def filter(self, now: datetime) -> RunFilter:
        return RunFilter(**{name: in_time(getattr(self, name), now) for name in Runs.model_fields})


class RunsQuery(Runs, Page):
    pass


class Cancelling(Acting):
    model_config = such_as(reason="started by mistake")


class Retrying(Acting):
    pass


async def show_runs(request: web.Request) -> web.Response:
    """Runs, the newest first."""
    edge = request.app[EDGE]
    query = parse_query(request, RunsQuery)
    wanted = query.filter(edge.database.now())
    return reply(await list_runs(edge.database, wanted, query.limit, query.cursor, edge.held))


async def show_run(request: web.Request) -> web.Response:
    """One run, with its events and its attempts."""
    return reply(await _asked_for(request))


async def cancel_run(request: web.Request) -> web.Response:
    """Cancels a run; a call in progress is ended, too."""
    edge = request.app[EDGE]
    run = await _asked_for(request)
    body = await parse_body(request, Cancelling)
    await edge.intake.cancel(run["id"], by=request[CALLER].name, reason=body.reason)
    return reply(await find_run(edge.database, run["id"], edge.held), status=202)


async def retry_run(request: web.Request) -> web.Response:
    """A new run with the key, payload and events of one that is over."""
    edge = request.app[EDGE]
    run = await _asked_for(request)
    await parse_body(request, Retrying)
    decision = await edge.intake.retry(run["id"], by=request[CALLER].name)
    return reply(await requested(edge, decision), status=202)


async def requested(edge: Edge, decision: Decision) -> dict[str, Any]:
    """The run that a request by hand led to. Raises `Unmappable` where there is none."""
    run = await find_run(edge.database, decision.run_id, edge.held) if decision.run_id else None
    if run is None:
        raise Unmappable(decision.reason or f"the decision was {decision.decision}")
    return run


async def _asked_for(request: web.Request) -> dict[str, Any]:
    edge, run_id = request.app[EDGE], request.match_info["id"].lower()
    run = await find_run(edge.database, run_id, edge.held) if is_id(run_id) else None
    if run is None:
        raise NotFound("there is no such run")
    return run


ROUTES = (
    Route("GET", "/api/v1/runs", Role.VIEWER, show_runs, query=RunsQuery, replies={200: Listed[Run]}),
    Route("GET", "/api/v1/runs/{id}", Role.VIEWER, show_run, replies={200: RunPage}),
    Route(
        "POST",
        "/api/v1/runs/{id}/cancel",
        Role.OPERATOR,
        cancel_run,
        body=Cancelling,
        replies={202: RunPage},
        refuses=(Conflict,),
    ),
    Route(
        "POST",
        "/api/v1/runs/{id}/retry",
        Role.OPERATOR,
        retry_run,
        body=Retrying,
        replies={202: RunPage},
        refuses=(Conflict, Unmappable),
    ),
)
