"""The table of all routes, and the way from a path to its handler.

Each path answers all methods itself, so that every refusal is a problem document.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from typing import Any

import structlog
from aiohttp import hdrs, web

from gateway.core.access import Role
from gateway.core.errors import MethodNotAllowed, NotFound, Rejected, Unavailable
from gateway.store.acts import acting
from gateway.store.faults import Fault, classify, told
from gateway.web import hooks, metrics, probes
from gateway.web.access import CALLER, admit
from gateway.web.acting import act_of
from gateway.web.address import remote
from gateway.web.api import (
    audit,
    bulk,
    events,
    explain,
    logs,
    pausing,
    reload,
    runs,
    schedules,
    sources,
    stats,
    status,
    stream,
    targets,
    triggers,
)
from gateway.web.edge import EDGE
from gateway.web.openapi import describe
from gateway.web.problems import failure, problem
from gateway.web.reference import PAGES
from gateway.web.replies import reply
from gateway.web.route import Handler, Route

log = structlog.get_logger(__name__)


async def show_description(_: web.Request) -> web.Response:
    """This description."""
    return reply(await asyncio.to_thread(_description))


@cache
def _description() -> dict[str, Any]:
    return describe((*API, *metrics.ROUTES), PROBES)


PROBES: dict[str, Handler] = {"/healthz": probes.healthz, "/readyz": probes.readyz}
API: tuple[Route, ...] = (
    *status.ROUTES,
    *events.ROUTES,
    *explain.ROUTES,
    *bulk.ROUTES,
    *runs.ROUTES,
    *logs.ROUTES,
    *targets.ROUTES,
    *schedules.ROUTES,
    *pausing.ROUTES,
    *reload.ROUTES,
    *stream.ROUTES,
    *audit.ROUTES,
    *stats.ROUTES,
    *triggers.ROUTES,
    *sources.ROUTES,
    Route("GET", "/openapi.json", Role.VIEWER, show_description, replies={200: dict[str, Any]}),
)


def add_probes(router: web.UrlDispatcher) -> None:
    _add_open(router, PROBES)


def add_metrics(router: web.UrlDispatcher) -> None:
    """For every node: what it does is counted where it is done."""
    _add(router, metrics.ROUTES)


def add_api(router: web.UrlDispatcher) -> None:
    _add(router, API)
    _add_open(router, PAGES)
    router.add_route(hdrs.METH_ANY, "/api{rest:(/.*)?}", _answered(_guarded([])))


def add_hooks(router: web.UrlDispatcher) -> None:
    """Comes last: the path of a hook may be any that nothing else has."""
    router.add_route(hdrs.METH_ANY, "/hooks/{name}", hooks.receive)
    router.add_route(hdrs.METH_ANY, "/{path:.*}", hooks.receive)


def add_nothing_else(router: web.UrlDispatcher) -> None:
    """Comes last, where no events are taken."""
    router.add_route(hdrs.METH_ANY, "/{path:.*}", _answered(_refuse))


async def _refuse(_: web.Request) -> web.StreamResponse:
    raise NotFound("there is nothing here")


def _add_open(router: web.UrlDispatcher, pages: Mapping[str, Handler]) -> None:
    for path, page in pages.items():
        router.add_route(hdrs.METH_ANY, path, _answered(_only_get(page)))


def _add(router: web.UrlDispatcher, routes: Sequence[Route]) -> None:
    for path in dict.fromkeys(route.path for route in routes):
        router.add_route(hdrs.METH_ANY, path, _answered(_guarded([route for route in routes if route.path == path])))


def _only_get(handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        if request.method not in (hdrs.METH_GET, hdrs.METH_HEAD):
            raise MethodNotAllowed((hdrs.METH_GET, hdrs.METH_HEAD))
        return await handler(request)

    return handle


def _guarded(routes: Sequence[Route]) -> Handler:
    """The role comes before anything that a caller could find out by asking."""
    by_method = {route.method: route for route in routes}
    if hdrs.METH_GET in by_method:
        by_method[hdrs.METH_HEAD] = by_method[hdrs.METH_GET]

    async def handle(request: web.Request) -> web.StreamResponse:
        edge = request.app[EDGE]
        caller = admit(request, edge.current.snapshot.access.tokens)
        if not by_method:
            raise NotFound("the API has no such path")
        if request.method not in by_method:
            raise MethodNotAllowed(tuple(by_method))
        route = by_method[request.method]
        caller.need(route.role)
        request[CALLER] = caller
        with acting(act_of(request, route, caller)) if route.acts else nullcontext():
            response = await route.handler(request)
        if request.method not in (hdrs.METH_GET, hdrs.METH_HEAD):
            said = {"by": caller.name, "remote": remote(request, edge.server.trusted_proxies)}
            log.info("api.done", **said, method=route.method, path=request.path, status=response.status)
        return response

    return handle


def _answered(handler: Handler) -> Handler:
    """The handler, with an answer for whatever goes wrong in it."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Rejected as rejection:
            log.info("http.rejected", method=request.method, path=request.path, status=rejection.status)
            return problem(rejection)
        except Exception as error:
            if classify(error) is not Fault.REQUEST:
                log.warning("http.store_unavailable", path=request.path, error=told(error))
                return problem(Unavailable("the database cannot be read now", retry_after=2))
            log.exception("http.failed", method=request.method, path=request.path)
            return failure()

    return handle
