"""Webhooks over HTTP: the path leads to the source of the configuration in force, and the answer follows the commit."""

import time
from typing import Any

import orjson
import structlog
from aiohttp import web

from gateway.core.errors import NotFound, Rejected
from gateway.sources.incoming import Incoming
from gateway.sources.webhook import WebhookSource
from gateway.store.accept import Accepted
from gateway.web.address import remote
from gateway.web.body import read
from gateway.web.edge import EDGE, Edge
from gateway.web.problems import failure, problem

log = structlog.get_logger(__name__)

_IGNORED: dict[str, Any] = {"event_id": None, "duplicate": False, "decisions": []}
_JSON = {"Content-Type": "application/json"}


async def receive(request: web.Request) -> web.Response:
    """Answers any request that no other route wants."""
    edge = request.app[EDGE]
    source = edge.current.snapshot.hooks.get(request.path)
    if source is None:
        return problem(NotFound("there is nothing here"))
    try:
        return await _receive(edge, source, request)
    except Rejected as rejection:
        log.info("hook.rejected", source=source.name, status=rejection.status, reason=rejection.detail)
        return problem(rejection)
    except Exception:
        log.exception("hook.failed", source=source.name)
        return failure()


async def _receive(edge: Edge, source: WebhookSource, request: web.Request) -> web.Response:
    address = remote(request, edge.server.trusted_proxies)
    source.admit(request.method, address, time.monotonic())
    incoming = Incoming(
        method=request.method,
        headers=request.headers,
        query=request.query,
        raw=await read(request),
        remote=address,
    )
    event = source.to_event(incoming, edge.database.now())
    accepted = (await edge.intake.accept((event,)))[0] if event else None
    return _answer(source, accepted)


def _answer(source: WebhookSource, accepted: Accepted | None) -> web.Response:
    reply = source.settings.reply
    if reply is None:
        return web.Response(status=202, body=orjson.dumps(accepted or _IGNORED), headers=_JSON)
    if reply == "minimal":
        event_id, duplicate = (accepted.event_id, accepted.duplicate) if accepted else (None, False)
        body = orjson.dumps({"event_id": event_id, "duplicate": duplicate})
        return web.Response(status=202, body=body, headers=_JSON)
    return web.Response(status=reply.status, text=reply.body)
