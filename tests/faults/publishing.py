"""Messages that are published all the time, each again under the same id until the broker has confirmed it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Self

import orjson
from aio_pika import DeliveryMode, Message, connect
from aio_pika.abc import AbstractChannel, AbstractExchange
from aio_pika.exceptions import CONNECTION_EXCEPTIONS

from tests.gateways import configuration
from tests.target_server import TargetServer

PAUSE = 0.02
TIMEOUT = 3.0
AGAIN_AFTER = 0.1


def consuming(target: TargetServer, database_url: str, url: str, queue: str, **source: Any) -> dict[str, Any]:
    """A gateway whose messages each lead to one call that names them."""
    config = configuration(target, database_url, calls={"concurrency": 8})
    return {**config, "sources": {"hook": {"kind": "amqp", "url": url, "queue": queue, **source}}}


@asynccontextmanager
async def channel_to(url: str) -> AsyncIterator[AbstractChannel]:
    """One on which whatever cannot be routed is an error."""
    async with await connect(url, timeout=TIMEOUT) as connection:
        yield await connection.channel(on_return_raises=True)


async def publish(
    channel: AbstractChannel, key: str, body: bytes, exchange: AbstractExchange | None = None, **properties: Any
) -> None:
    """Returns once it is confirmed, with the properties that are given; without an exchange, `key` is a queue."""
    message = Message(body, delivery_mode=DeliveryMode.PERSISTENT, **{"message_id": "", **properties})
    await (exchange or channel.default_exchange).publish(message, key, timeout=TIMEOUT)


async def waiting_in(url: str, queue: str) -> int:
    """The messages that are ready to be delivered."""
    async with channel_to(url) as channel:
        declared = await channel.declare_queue(queue, passive=True)
        return declared.declaration_result.message_count or 0


class Publishing:
    """Publishes until the `async with` block is left."""

    def __init__(self, url: str, queue: str) -> None:
        self.confirmed: dict[str, None] = {}
        self._url = url
        self._queue = queue
        self._open = True

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._publish_on())
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._open = False
        if error:
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=bool(error))

    async def _publish_on(self) -> None:
        names = (f"message-{number}" for number in count())
        name = next(names)
        while self._open:
            try:
                async with channel_to(self._url) as channel:
                    while self._open:
                        await publish(channel, self._queue, orjson.dumps({"id": name}), message_id=name)
                        self.confirmed[name] = None
                        name = next(names)
                        await asyncio.sleep(PAUSE)
            except CONNECTION_EXCEPTIONS:
                await asyncio.sleep(AGAIN_AFTER)
            except asyncio.CancelledError:  # the library raises it for a lost connection
                if (task := asyncio.current_task()) and task.cancelling():
                    raise
