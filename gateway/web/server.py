"""Listens, and takes connections down in order."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from gateway.runtime.settings import Tls
from gateway.web.connection import Connection
from gateway.web.edge import EDGE, Edge
from gateway.web.metrics import count_answer
from gateway.web.routes import add_hooks_and_api, add_metrics, add_nothing_else, add_probes

__all__ = ["Edge", "application", "serving"]

BACKLOG = 1024
SEND_BUFFER = 256 * 1024
"""What the operating system takes of an answer before its reader does; by itself it would take megabytes."""
SHUTDOWN_TIMEOUT = 10.0


def application(edge: Edge, *, probes_only: bool = False) -> web.Application:
    """The routes, over these parts."""
    app = web.Application()
    app[EDGE] = edge
    app.on_response_prepare.append(count_answer)
    add_probes(app.router)
    add_metrics(app.router)
    if probes_only:
        add_nothing_else(app.router)
    else:
        add_hooks_and_api(app.router)
    return app


@asynccontextmanager
async def serving(edge: Edge, *, probes_only: bool = False) -> AsyncIterator[str]:
    """Yields the address it listens on; at the end, requests in progress are answered first."""
    runner = web.AppRunner(application(edge, probes_only=probes_only), shutdown_timeout=SHUTDOWN_TIMEOUT)
    await runner.setup()
    try:
        listener = await _listen(edge, runner)
        try:
            yield _address(edge, listener)
        finally:
            listener.close()
    finally:
        await runner.cleanup()


async def _listen(edge: Edge, runner: web.AppRunner) -> asyncio.Server:
    manager = runner.server
    assert manager is not None  # noqa: S101 - the runner is set up
    tls = _tls(edge.server.tls)
    listener = await asyncio.get_running_loop().create_server(
        lambda: Connection(manager, edge.deadlines),
        edge.server.host,
        edge.server.port,
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
