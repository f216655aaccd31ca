"""Listens, and takes connections down in order."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from aiohttp import web

from gateway.runtime.settings import Listener, Tls
from gateway.web.connection import Connection
from gateway.web.edge import EDGE, Edge
from gateway.web.metrics import count_answer
from gateway.web.routes import add_api, add_hooks, add_metrics, add_nothing_else, add_probes

__all__ = ["Addresses", "Edge", "serving"]

BACKLOG = 1024
SEND_BUFFER = 256 * 1024
"""What the operating system takes of an answer before its reader does; by itself it would take megabytes."""
SHUTDOWN_TIMEOUT = 10.0


class Addresses(NamedTuple):
    """Where it listens: for senders, and for people and programs; the same where nothing keeps these apart."""

    hooks: str
    api: str


@asynccontextmanager
async def serving(edge: Edge, *, probes_only: bool = False) -> AsyncIterator[Addresses]:
    """Yields where it listens; at the end, requests in progress are answered first."""
    server, takes_requests = edge.server, not probes_only
    async with AsyncExitStack() as stack:
        if server.admin is None:
            app = _application(edge, has_api=takes_requests, has_hooks=takes_requests)
            address = await stack.enter_async_context(_listening(edge, app, server))
            yield Addresses(address, address)
        else:
            apart = _application(edge, has_metrics=False, has_hooks=takes_requests)
            for_admin = _application(edge, has_api=takes_requests)
            hooks = await stack.enter_async_context(_listening(edge, apart, server))
            api = await stack.enter_async_context(_listening(edge, for_admin, server.admin))
            yield Addresses(hooks, api)


def _application(
    edge: Edge, *, has_metrics: bool = True, has_api: bool = False, has_hooks: bool = False
) -> web.Application:
    app = web.Application()
    app[EDGE] = edge
    app.on_response_prepare.append(count_answer)
    add_probes(app.router)
    if has_metrics:
        add_metrics(app.router)
    if has_api:
        add_api(app.router)
    (add_hooks if has_hooks else add_nothing_else)(app.router)
    return app


@asynccontextmanager
async def _listening(edge: Edge, app: web.Application, at: Listener) -> AsyncIterator[str]:
    runner = web.AppRunner(app, shutdown_timeout=SHUTDOWN_TIMEOUT)
    await runner.setup()
    try:
        listener = await _listen(edge, runner, at)
        try:
            yield _address(edge, listener)
        finally:
            listener.close()
    finally:
        await runner.cleanup()


async def _listen(edge: Edge, runner: web.AppRunner, at: Listener) -> asyncio.Server:
    manager = runner.server
    assert manager is not None  # noqa: S101 - the runner is set up
    tls = _tls(edge.server.tls)
    listener = await asyncio.get_running_loop().create_server(
        lambda: Connection(manager, edge.deadlines),
        at.host,
        at.port,
        backlog=BACKLOG,
        ssl=tls,
        ssl_handshake_timeout=edge.deadlines.head if tls else None,
        ssl_shutdown_timeout=edge.deadlines.linger if tls else None,
    )
    for one in listener.sockets:  # connections inherit it
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    return listener


def _tls(settings: Tls | None) -> ssl.SSLContext | None:
    if settings is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(settings.cert, settings.key)
    return context


def _address(edge: Edge, listener: asyncio.Server) -> str:
    host, port = listener.sockets[0].getsockname()[:2]
    scheme = "https" if edge.server.tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
