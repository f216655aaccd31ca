"""Answers that go on: server-sent events, for as long as there is somebody who reads them."""

import contextlib
import re
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from aiohttp import hdrs, web

from gateway.web.edge import EDGE

KEEP_ALIVE = 15.0
"""Seconds of silence after which a comment tells everybody on the way that the stream goes on."""
COME_AGAIN = 1000
"""Milliseconds after which a reader who lost the stream asks for the rest."""

_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Accel-Buffering": "no",  # for nginx, which would keep events until it has a page full
}
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One event; a reader who lost the stream names the last `id` that it has seen.

    One without a name has no data either: of that, readers take only the `id`.
    """

    name: str | None = None
    data: str = ""
    id: str | None = None

    def __bytes__(self) -> bytes:
        place = [] if self.id is None else [f"id: {self.id}"]
        said = [] if self.name is None else [f"data: {line}" for line in _LINE_END.split(self.data)]
        lines = [*([] if self.name is None else [f"event: {self.name}"]), *place, *said]
        return "\n".join([*lines, "", ""]).encode(errors="replace")


Messages = AsyncGenerator[Message | None, None]
"""`None` says that there is nothing new; it comes about every second, so that a reader who has gone is noticed."""


async def stream(request: web.Request, messages: Messages) -> web.StreamResponse:
    """Sends messages until they end, the reader is gone, or the gateway is about to end.

    The next one is asked for when the last one has been taken, so that a slow reader costs no memory. Raises
    `Unavailable` where too many are open already.
    """
    response = web.StreamResponse(headers=_HEADERS)
    async with contextlib.aclosing(messages):
        with request.app[EDGE].streams.another():
            await response.prepare(request)
            if request.method != hdrs.METH_HEAD:
                with contextlib.suppress(ConnectionError):  # the reader may go in the middle of a message
                    await _send(request, response, messages)
    return response


async def _send(request: web.Request, response: web.StreamResponse, messages: Messages) -> None:
    health = request.app[EDGE].health
    await response.write(f"retry: {COME_AGAIN}\n\n".encode())
    spoke = time.monotonic()
    async for message in messages:
        if health.stopping or request.transport is None:
            return
        if message is not None or time.monotonic() >= spoke + KEEP_ALIVE:
            await response.write(b":\n\n" if message is None else bytes(message))
            spoke = time.monotonic()
