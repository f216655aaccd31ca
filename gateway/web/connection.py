"""One connection: who speaks no HTTP, or keeps the gateway waiting, is sent away."""

import asyncio
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, cast

import structlog
from aiohttp import web

from gateway.web.edge import Deadlines
from gateway.web.problems import failure, malformed

log = structlog.get_logger(__name__)

PROGRESS = 64 * 1024
"""Bytes that a reader has to take within its deadline."""


class Connection(web.RequestHandler):
    """As in aiohttp, with a deadline in every state.

    The keep-alive time-out is the one for heads, handlers set one for bodies, and readers are watched here.
    """

    __slots__ = ("_deadlines", "_watch")

    _watch: "_Watch"

    def __init__(self, server: web.Server, deadlines: Deadlines) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=deadlines.head,
            lingering_time=deadlines.linger,
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type]  # how aiohttp is told to have none
        )
        self._deadlines = deadlines

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._watch = _Watch(cast("asyncio.Transport", transport), self._deadlines.reader)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._watch.stop()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch.start()

    def resume_writing(self) -> None:
        self._watch.stop()
        super().resume_writing()

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        """Answers also what never comes to a handler: a target such as `*`, or an expectation nobody can meet."""
        if isinstance(resp, web.HTTPException):
            resp = malformed(resp.status, "this is not served here")
        return super().finish_response(request, resp, start_time)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answers what is no proper request; handlers answer for everything else themselves."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("http.failed", status=status, exc_info=exc)
            return failure()
        reason = (message or "not a proper request").splitlines()[0].rstrip(":")
        log.debug("http.malformed", remote=request.remote, status=status, reason=reason)
        return malformed(status, reason)


class _Watch:
    """Ends a connection whose reader does not take what the operating system could not take at once.

    It holds the transport itself: aiohttp forgets it when it closes, which can be long before the last byte has left.
    """

    def __init__(self, transport: asyncio.Transport, seconds: float) -> None:
        transport.set_write_buffer_limits(0)
        self._transport = transport
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        unsent = self._transport.get_write_buffer_size()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look, unsent)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, unsent_before: int) -> None:
        if self._transport.get_write_buffer_size() > unsent_before - PROGRESS:
            log.debug("http.slow_reader", unsent=unsent_before)
            self._transport.abort()
        else:
            self.start()
