"""Webhooks over HTTP: the path leads to the source of the configuration in force, and the answer follows the commit."""

import time
from collections.abc import Sequence
from typing import Any, Literal

import orjson
import structlog
from aiohttp import web

from gateway.core.errors import NotFound, Rejected
from gateway.core.event import Event
from gateway.runtime import observe
from gateway.sources.incoming import Incoming
from gateway.sources.webhook import Answer, Arrival, Reply, WebhookSource
from gateway.store.accept import Accepted
from gateway.web.address import remote
from gateway.web.body import read
from gateway.web.edge import EDGE, Edge
from gateway.web.problems import failure, problem

log = structlog.get_logger(__name__)

_IGNORED_BRIEFLY: dict[str, Any] = {"event_id": None, "duplicate": False}
_IGNORED: dict[str, Any] = {**_IGNORED_BRIEFLY, "decisions": []}
_JSON = {"Content-Type": "application/json"}
_TEXT = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
"""An answer holds what was sent: a browser must not take it for a page."""


async def receive(request: web.Request) -> web.Response:
    """Answers any request that no other route wants."""
    edge = request.app[EDGE]
    source = edge.current.snapshot.hooks.get(request.path)
    if source is None:
        return problem(NotFound("there is nothing here"))
    try:
        return await _receive(edge, source, request)
    except Rejected as rejection:
        observe.rejected(source.name, rejection.status)
        edge.rejections.note(source.name, rejection)
        log.info("hook.rejected", source=source.name, status=rejection.status, reason=rejection.detail)
        return problem(rejection)
    except Exception:
        log.exception("hook.failed", source=source.name)
        return failure()


async def _receive(edge: Edge, source: WebhookSource, request: web.Request) -> web.Response:
    address = remote(request, edge.server.trusted_proxies)
    permission = source.permission(request.method, request.headers, address)
    if permission is not None:
        return web.Response(headers=permission)
    source.admit(request.method, address, time.monotonic())
    incoming = Incoming(
        method=request.method,
        headers=request.headers,
        query=request.query,
        raw=await read(request),
        remote=address,
    )
    match source.to_events(incoming, edge.database.now()):
        case Answer(text):
            return web.Response(body=text.encode(errors="replace"), headers=_TEXT)
        case Arrival(events, is_batch):
            results = await _accepted(edge, source, events)
            return _answer(source.settings.reply, results, is_batch=is_batch)


async def _accepted(edge: Edge, source: WebhookSource, events: Sequence[Event | None]) -> list[Accepted | None]:
    """What became of each; those to be ignored are counted."""
    kept = [event for event in events if event]
    accepted = iter(await edge.intake.accept(kept) if kept else ())
    if ignored := len(events) - len(kept):
        edge.ignored[source.name] += ignored
        observe.ignored(source.name, ignored)
    return [next(accepted) if event else None for event in events]


def _answer(
    reply: Reply | Literal["minimal"] | None, results: Sequence[Accepted | None], *, is_batch: bool
) -> web.Response:
    if isinstance(reply, Reply):
        return web.Response(status=reply.status, text=reply.body)
    items = [_brief(result) if reply == "minimal" else result or _IGNORED for result in results]
    document = {"items": items} if is_batch else items[0]
    return web.Response(status=202, body=orjson.dumps(document), headers=_JSON)


def _brief(result: Accepted | None) -> dict[str, Any]:
    return {"event_id": result.event_id, "duplicate": result.duplicate} if result else _IGNORED_BRIEFLY
