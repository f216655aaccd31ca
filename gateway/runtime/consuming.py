"""Consuming: the sources that fetch their events run here, those of the configuration in force and no others."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from gateway.core.errors import Unavailable
from gateway.core.event import Event
from gateway.runtime.intake import Intake
from gateway.runtime.snapshot import Current
from gateway.sources.amqp import Broker, Consumer
from gateway.sources.message import Message
from gateway.sources.queue import QueueSource
from gateway.store.database import Database

log = structlog.get_logger(__name__)

AGAIN_AFTER = 1.0
"""Seconds until what the database could not take is handed in again."""
STOP_TIMEOUT = 5.0
"""Seconds in which a consumer that is stopped may commit and acknowledge what has arrived."""


class Consuming:
    """Starts and stops consumers as the configuration changes; those whose settings stay the same are left alone."""

    def __init__(self, database: Database, current: Current, intake: Intake) -> None:
        self._database = database
        self._current = current
        self._intake = intake
        self._brokers: dict[str, Broker] = {}
        self._consumers: dict[QueueSource, tuple[Consumer, asyncio.Task[None]]] = {}
        self._stopped = False

    def states(self) -> Mapping[str, str]:
        """Of each source by name: `ok`, or what is wrong."""
        return {source.name: consumer.state for source, (consumer, _) in self._consumers.items()}

    async def run(self) -> None:
        """Follows the configuration until `stop`."""
        try:
            while not self._stopped:
                swapped = self._current.swapped
                await self._follow()
                await swapped.wait()
        finally:
            for _, task in self._consumers.values():
                task.cancel()

    async def stop(self) -> None:
        """Has all consumers take and acknowledge what has arrived, and end."""
        self._stopped = True
        await self._follow()

    def _wanted(self) -> frozenset[QueueSource]:
        return frozenset() if self._stopped else self._current.snapshot.queues

    async def _follow(self) -> None:
        ending = [self._consumers.pop(source) for source in self._consumers.keys() - self._wanted()]
        for consumer, _ in ending:
            consumer.stop()
        if ending:
            _, late = await asyncio.wait({task for _, task in ending}, timeout=STOP_TIMEOUT)
            for task in late:
                task.cancel()
        for source in self._wanted() - self._consumers.keys():
            self._consumers[source] = self._started(source)

    def _started(self, source: QueueSource) -> tuple[Consumer, asyncio.Task[None]]:
        url = source.settings.url.get_secret_value()
        consumer = Consumer(source, self._brokers.setdefault(url, Broker(url)), self._take)
        return consumer, asyncio.create_task(consumer.run(), name=f"consumer of {source.name}")

    async def _take(self, source: QueueSource, messages: Sequence[Message]) -> None:
        """Commits all of them, however long the database is away."""
        now, limit = self._database.now(), self._current.snapshot.server.max_body
        events = [source.reader.read(message, now, limit) for message in messages]
        for event in events:
            if event.rejection:
                log.warning("source.rejected", source=source.name, event_id=event.id, reason=event.rejection)
        repeated = False
        while not await self._committed(source, events, repeated=repeated):
            repeated = True
            await asyncio.sleep(AGAIN_AFTER)

    async def _committed(self, source: QueueSource, events: Sequence[Event], *, repeated: bool) -> bool:
        try:
            await self._intake.accept(events, repeated=repeated)
        except Unavailable as error:
            log.warning("source.waits", source=source.name, events=len(events), reason=error.detail)
            return False
        return True
