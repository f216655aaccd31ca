"""Load: events that come all the time, each sent again under the same id until it is accepted."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import count, cycle
from typing import Self

import aiohttp

from tests.gateway_client import GatewayClient, Reply

SENDERS = 8
PAUSE = 0.1  # of a sender between two events
AGAIN_AFTER = 0.05


class Load:
    """Sends to all nodes in turn, as a load balancer would, until the `async with` block is left."""

    def __init__(self, urls: Sequence[str], *, pause: float = PAUSE) -> None:
        self.accepted: dict[str, Reply] = {}
        self.refused: list[Reply] = []
        self._urls = urls
        self._pause = pause
        self._names = (f"event-{number}" for number in count())
        self._open = True

    async def __aenter__(self) -> Self:
        self._clients = AsyncExitStack()
        clients = [await self._clients.enter_async_context(GatewayClient(url)) for url in self._urls]
        self._turns = cycle(clients)
        self._senders = [asyncio.create_task(self._send_on()) for _ in range(SENDERS)]
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        """What was begun is sent until it is accepted, unless the test has failed already."""
        self._open = False
        if error:
            for sender in self._senders:
                sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=bool(error))
        await self._clients.aclose()

    async def _send_on(self) -> None:
        while self._open:
            name = next(self._names)
            self.accepted[name] = await self._until_accepted(name)
            await asyncio.sleep(self._pause)

    async def _until_accepted(self, name: str) -> Reply:
        while True:
            try:
                reply = await next(self._turns).send({"id": name, "type": "load"})
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(AGAIN_AFTER)
                continue
            if reply.status == 202:
                return reply
            self.refused.append(reply)
            assert reply.status == 503, reply
            await asyncio.sleep(AGAIN_AFTER)
