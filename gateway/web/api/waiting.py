"""The answer to a request by hand: its run, and if somebody wants to wait for that, how it ended."""

import asyncio
from datetime import timedelta
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from gateway.core.duration import Duration
from gateway.core.request import Decision
from gateway.core.run import FINAL
from gateway.store.history import find_run
from gateway.web.api.runs import requested
from gateway.web.edge import EDGE
from gateway.web.parameters import Model
from gateway.web.replies import reply

LOOK_AGAIN = (0.05, 1.0)
"""Seconds between two looks at a run that is waited for: at first, and at most."""


class RunQuery(Model):
    wait: Annotated[Duration, Field(ge=timedelta(0), le=timedelta(hours=1))] | None = Field(
        None, description="How long the answer waits for the end, such as 60s; at most 1h."
    )


async def reply_with_run(request: web.Request, decision: Decision, lasting: timedelta | None) -> web.Response:
    """`202` and the run; `200` and the finished run if it ends in that time."""
    run = await requested(request.app[EDGE], decision)
    if lasting:
        run = await _finished(request, run, lasting)
    return reply(run, status=200 if run["state"] in FINAL else 202)


async def _finished(request: web.Request, run: dict[str, Any], lasting: timedelta) -> dict[str, Any]:
    """The run as it is once it is final, the time is over, the client gone, or the gateway about to end."""
    edge = request.app[EDGE]
    loop = asyncio.get_running_loop()
    over = loop.time() + lasting.total_seconds()
    pause, longest = LOOK_AGAIN
    while run["state"] not in FINAL and loop.time() < over and request.transport and not edge.health.stopping:
        await asyncio.sleep(min(pause, over - loop.time()))
        pause = min(2 * pause, longest)
        run = await find_run(edge.database, run["id"], edge.held) or run
    return run
