"""Consumers of AMQP queues.

A consumer works in sessions: connect, declare, consume, until anything breaks; then the next one begins from nothing.
Within a session it takes whatever has arrived, waits until that is committed, acknowledges it with one
acknowledgement, and takes what has arrived meanwhile. Messages are taken from the channel below aio-pika's own: what
that makes of each of them costs as much time as all the rest.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

import structlog
from aio_pika import Connection
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import CONNECTION_EXCEPTIONS
from aiormq.abc import AbstractChannel as Underlay
from aiormq.abc import DeliveredMessage
from pamqp.common import FieldTable
from yarl import URL

from gateway.sources.message import PROPERTIES, Message
from gateway.sources.queue import QueueSource, Settings

log = structlog.get_logger(__name__)

OK = "ok"
LOST = "the connection was lost"
HEARTBEAT = 10  # seconds; a silent connection is given up after some three of them
ANSWER_TIMEOUT = 10.0  # seconds
CLOSE_TIMEOUT = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds between two sessions
DELIVERY_LIMIT = 20  # of a message that breaks its consumer each time
DEAD_LETTERS = ".dead-letters"
_NAME: FieldTable = {"connection_name": "trigger-gateway"}

Take = Callable[[QueueSource, Sequence[Message]], Awaitable[None]]
"""Returns once all messages are committed."""


class Broker:
    """One connection, opened for the first channel and closed after the last."""

    def __init__(self, url: str) -> None:
        address = URL(url)
        self._url = address if "heartbeat" in address.query else address.update_query(heartbeat=HEARTBEAT)
        self._connection: AbstractConnection | None = None
        self._users = 0
        self._connecting = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def channel(self) -> AsyncIterator[AbstractChannel]:
        """A channel of its own for whoever asks."""
        self._users += 1
        try:
            connection = await self._connected()
            async with asyncio.timeout(ANSWER_TIMEOUT):
                channel = await connection.channel(publisher_confirms=False)
            try:
                yield channel
            finally:
                await _closed(channel)
        finally:
            self._users -= 1
            if not self._users:
                await self._disconnect()

    async def _connected(self) -> AbstractConnection:
        async with self._connecting:
            if self._connection and not self._connection.connected.is_set():
                await self._disconnect()
            if self._connection is None:
                self._connection = await _connection_to(self._url)
            return self._connection

    async def _disconnect(self) -> None:
        closing, self._connection = self._connection, None
        if closing:
            await _closed(closing)


class Consumer:
    """Consumes the queue of one source; `state` says whether it does.

    After a session that broke, it takes as many messages as may have been on their way one at a time: where one of
    them breaks whoever consumes it, the broker does not count its neighbours as delivered together with it.
    """

    def __init__(self, source: QueueSource, broker: Broker, take: Take) -> None:
        self.state = "degraded: not connected yet"
        self._source = source
        self._broker = broker
        self._take = take
        self._failures = 0
        self._careful = 0
        self._stopping = False
        self._leave = asyncio.Event()

    async def run(self) -> None:
        """Consumes until `stop`, however often the connection breaks."""
        while not self._stopping:
            self._leave.clear()
            try:
                with _only_own_cancellation():
                    await self._session()
                continue
            except CONNECTION_EXCEPTIONS as error:
                reason = str(error) or type(error).__name__
                log.warning("source.degraded", source=self._source.name, reason=reason)
            except Exception as error:
                reason = type(error).__name__
                log.exception("source.failed", source=self._source.name)
            self.state = f"degraded: {reason}"
            self._careful = self._source.settings.prefetch
            await self._pause()

    def stop(self) -> None:
        """What has arrived by now is still taken and acknowledged."""
        self._stopping = True
        self._leave.set()

    async def _pause(self) -> None:
        """Longer each time, and with jitter: a broker that comes back need not face all consumers at once."""
        longest = min(FIRST_PAUSE * 2.0 ** min(self._failures, 10), LONGEST_PAUSE)
        self._failures += 1
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._leave.wait(), longest * random.uniform(0.5, 1))  # noqa: S311 - no secret

    async def _session(self) -> None:
        """Until `stop`, or until there is no more need to be careful; raises when the channel is over."""
        settings = self._source.settings
        async with self._broker.channel() as channel:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await channel.set_qos(prefetch_count=1 if self._careful else settings.prefetch)
                await _declare(channel, settings)
                inbox = _Inbox(await channel.get_underlay_channel(), at_most=max(1, settings.prefetch // 2))
                channel.close_callbacks.add(lambda _, error: inbox.end(error))
                await inbox.open(settings.queue)
            self.state = OK
            log.info("source.consuming", source=self._source.name, queue=settings.queue, careful=bool(self._careful))
            await self._consume(inbox)

    async def _consume(self, inbox: "_Inbox") -> None:
        """What is not committed when the channel is over is dropped: it comes again."""
        taking = asyncio.create_task(self._take_all(inbox))
        leaving = asyncio.create_task(self._leave.wait())
        try:
            await _first_of(inbox.over, taking, leaving)
            await inbox.close()
            await _first_of(inbox.over, taking)
        finally:
            leaving.cancel()
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)

    async def _take_all(self, inbox: "_Inbox") -> None:
        while arrived := await inbox.next():
            await self._take(self._source, [_message(delivered) for delivered in arrived])
            await inbox.acknowledge(arrived)
            self._failures = 0
            self._trust()

    def _trust(self) -> None:
        """Another message has come alone and done no harm; after the last of them a session without limits follows."""
        if self._careful:
            self._careful -= 1
            if not self._careful:
                self._leave.set()


class _Inbox:
    """What has arrived on a channel; `over` says why nothing can arrive any more, nor be acknowledged.

    No more than `at_most` are taken at once, so that others can be on their way meanwhile.
    """

    def __init__(self, channel: Underlay, at_most: int) -> None:
        self.over: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self._channel = channel
        self._at_most = at_most
        self._arrived: list[DeliveredMessage] = []
        self._something = asyncio.Event()
        self._tag = ""
        self._closed = False

    async def open(self, queue: str) -> None:
        self._channel.on_consumer_cancel_callbacks.add(lambda _: self.end(ConnectionError("the queue was deleted")))
        self._tag = (await self._channel.basic_consume(queue, self._put)).consumer_tag or ""

    async def close(self) -> None:
        """Nothing more shall arrive."""
        await self._channel.basic_cancel(self._tag, timeout=CLOSE_TIMEOUT)
        self._closed = True
        self._something.set()

    def end(self, error: BaseException | None) -> None:
        if not self.over.done():
            self.over.set_result(error if isinstance(error, Exception) else ConnectionError(LOST))

    async def next(self) -> list[DeliveredMessage]:
        """The oldest, at least one; nothing once it is closed and empty."""
        while not self._arrived and not self._closed:
            self._something.clear()
            await self._something.wait()
        taken, self._arrived = self._arrived[: self._at_most], self._arrived[self._at_most :]
        return taken

    async def acknowledge(self, taken: Sequence[DeliveredMessage]) -> None:
        """All that were taken by now."""
        await self._channel.basic_ack(taken[-1].delivery_tag or 0, multiple=True)

    async def _put(self, message: DeliveredMessage) -> None:
        self._arrived.append(message)
        self._something.set()


async def _first_of(over: "asyncio.Future[Exception]", *tasks: "asyncio.Task[Any]") -> None:
    """Waits until one of the tasks has ended; raises what it raises, or why nothing can come of them any more."""
    await asyncio.wait({over, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    if over.done():
        raise over.result()
    for task in tasks:
        if task.done():
            task.result()


async def _connection_to(url: URL) -> AbstractConnection:
    connection = Connection(url, client_properties=dict(_NAME))
    try:
        await connection.connect(timeout=ANSWER_TIMEOUT)
    except BaseException:
        await connection.close()
        raise
    return connection


async def _declare(channel: AbstractChannel, settings: Settings) -> None:
    """The queue with its dead letters and bindings; where it is to be used as it is, it must exist."""
    if not settings.declare_:
        await channel.get_queue(settings.queue)
        return
    dead_letters = settings.queue + DEAD_LETTERS
    await channel.declare_queue(dead_letters, durable=True, arguments={"x-queue-type": "quorum"})
    arguments: dict[str, Any] = {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": dead_letters,
        "x-delivery-limit": DELIVERY_LIMIT,
    }
    if settings.single_active_consumer:
        arguments["x-single-active-consumer"] = True
    queue = await channel.declare_queue(settings.queue, durable=True, arguments=arguments)
    for binding in settings.bindings:
        await queue.bind(binding.exchange, binding.routing_key)


def _message(delivered: DeliveredMessage) -> Message:
    properties = delivered.header.properties
    routed = {"exchange": delivered.exchange, "routing_key": delivered.routing_key, "type": properties.message_type}
    return Message(
        body=delivered.body,
        headers=properties.headers or {},
        properties=routed | {name: getattr(properties, name) for name in PROPERTIES},
        redelivered=bool(delivered.redelivered),
    )


async def _closed(what: AbstractChannel | AbstractConnection) -> None:
    """Closes in order, if the other side still answers."""
    with contextlib.suppress(*CONNECTION_EXCEPTIONS, TimeoutError), _only_own_cancellation():
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await what.close()


@contextlib.contextmanager
def _only_own_cancellation() -> Iterator[None]:
    """The library raises `CancelledError` for a connection that is lost, although nobody cancels this task."""
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionError(LOST) from error
