"""What the gateway is compared with, and what it calls: the least that aiohttp can do for the same requests.

Run as `bare.py accepting|forwarding|target PORT [TARGET_PORT]`, with nothing but aiohttp loaded. `accepting` reads and
parses a body and answers 202. `forwarding` then posts it to a target, by 64 tasks that take it from a queue in memory.
`target` reads what it is sent and notes when it came.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable

from aiohttp import ClientSession, TCPConnector, web

CLIENTS = 64


def accepting() -> web.Application:
    async def accept(request: web.Request) -> web.Response:
        await request.json()
        return _accepted()

    app = web.Application()
    app.router.add_post("/{path:.*}", accept)
    return app


def forwarding(target_port: int) -> web.Application:
    """GET tells how many are not forwarded yet."""
    queue = asyncio.Queue[bytes]()
    unfinished = 0

    async def accept(request: web.Request) -> web.Response:
        nonlocal unfinished
        await request.json()
        queue.put_nowait(await request.read())
        unfinished += 1
        return _accepted()

    async def forward(session: ClientSession) -> None:
        nonlocal unfinished
        while True:
            body = await queue.get()
            async with session.post(f"http://127.0.0.1:{target_port}/", data=body) as response:
                await response.read()
            unfinished -= 1

    async def clients(_: web.Application) -> AsyncIterator[None]:
        async with ClientSession(connector=TCPConnector(limit=0)) as session, asyncio.TaskGroup() as group:
            tasks = [group.create_task(forward(session)) for _ in range(CLIENTS)]
            yield
            for task in tasks:
                task.cancel()

    async def tell(_: web.Request) -> web.Response:
        return web.json_response(unfinished)

    app = web.Application()
    app.cleanup_ctx.append(clients)
    app.router.add_post("/{path:.*}", accept)
    app.router.add_get("/", tell)
    return app


def target() -> web.Application:
    """GET tells when each of the calls since the last GET came, by the monotonic clock."""
    arrivals: list[float] = []

    async def answer(request: web.Request) -> web.Response:
        arrivals.append(time.monotonic())
        await request.read()
        return web.json_response({})

    async def tell(_: web.Request) -> web.Response:
        told = web.json_response(arrivals)
        arrivals.clear()
        return told

    app = web.Application()
    app.router.add_post("/", answer)
    app.router.add_get("/", tell)
    return app


def _accepted() -> web.Response:
    return web.json_response({}, status=202)


PROGRAMS: dict[str, Callable[..., web.Application]] = {
    "accepting": accepting,
    "forwarding": forwarding,
    "target": target,
}

if __name__ == "__main__":
    program, port, *ports = sys.argv[1:]
    app = PROGRAMS[program](*map(int, ports))
    web.run_app(app, host="127.0.0.1", port=int(port), access_log=None, print=None)
