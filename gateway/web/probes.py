"""Probes: is the process alive, and can this node take more."""

from aiohttp import web

from gateway.core.errors import Unavailable
from gateway.web.edge import EDGE
from gateway.web.problems import problem
from gateway.web.replies import reply


async def healthz(_: web.Request) -> web.Response:
    """Whether the process is alive."""
    return reply({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Whether this node can take more.

    With each part of it; 503 only where it cannot accept, or is about to end.
    """
    ready, parts = await request.app[EDGE].health.report()
    return reply(parts) if ready else problem(Unavailable("this node takes nothing now", retry_after=5), **parts)
