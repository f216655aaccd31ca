"""What the systems that are served here have in common: a port of their own, and a record of what they were asked."""

from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler

from tests.servers.ports import free_port


class System:
    """A server between the ends of `async with`; `requests` are method and path of all it was asked, in order."""

    def __init__(self, routes: list[web.AbstractRouteDef]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.requests: list[str] = []
        self._app = web.Application(middlewares=[self._recorded])
        self._app.add_routes(routes)

    async def __aenter__(self) -> Self:
        self._runner = web.AppRunner(self._app, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @web.middleware
    async def _recorded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        return await handler(request)
