"""Breaks whatever a gateway depends on, one thing after another, and mends it again."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.gateway_process import GatewayProcess
from tests.gateways import LEASE
from tests.servers.postgres import PostgreSQL
from tests.servers.proxy import Proxy
from tests.servers.rabbitmq import RabbitMQ
from tests.target_server import TargetServer

LONGER_THAN_A_LEASE = LEASE + 2
SHORTER_THAN_A_LEASE = LEASE / 2

Fault = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nemesis:
    """`mortals` are the nodes it may end; `frozen` is one that it only stops for a while."""

    mortals: Sequence[GatewayProcess]
    frozen: GatewayProcess
    target: TargetServer
    postgres: PostgreSQL
    way_to_postgres: Proxy
    rabbitmq: RabbitMQ
    way_to_rabbitmq: Proxy

    @property
    def faults(self) -> Sequence[Fault]:
        return (
            self.kill_a_node,
            self.end_a_node,
            self.freeze_a_node,
            self.crash_the_database,
            self.cut_off_the_database,
            self.silence_the_database,
            self.kill_the_broker,
            self.silence_the_broker,
            self.take_the_target_away,
        )

    async def strike(self, times: int, *, every: float) -> None:
        """Begins a fault every so many seconds, or as soon as the one before is mended; returns once all are."""
        for fault in self._in_random_order(times):
            rest = asyncio.create_task(asyncio.sleep(every))
            await fault()
            await rest

    def _in_random_order(self, times: int) -> Iterator[Fault]:
        """Each of them comes before any comes again."""
        left: list[Fault] = []
        for _ in range(times):
            left = left or random.sample(self.faults, len(self.faults))
            yield left.pop()

    async def kill_a_node(self) -> None:
        node = random.choice(self.mortals)
        node.kill()
        await node.start()

    async def end_a_node(self) -> None:
        node = random.choice(self.mortals)
        assert await node.terminate() == 0
        await node.start()

    async def freeze_a_node(self) -> None:
        self.frozen.stop()
        await asyncio.sleep(LONGER_THAN_A_LEASE)
        self.frozen.cont()

    async def crash_the_database(self) -> None:
        await asyncio.to_thread(self.postgres.stop, "immediate")
        await asyncio.to_thread(self.postgres.start)

    async def cut_off_the_database(self) -> None:
        await _broken(self.way_to_postgres, "cut", seconds=0)

    async def silence_the_database(self) -> None:
        await _broken(self.way_to_postgres, "blackhole", seconds=random.choice([1, LONGER_THAN_A_LEASE]))

    async def kill_the_broker(self) -> None:
        await asyncio.to_thread(self.rabbitmq.kill)
        await asyncio.to_thread(self.rabbitmq.start)

    async def silence_the_broker(self) -> None:
        await _broken(self.way_to_rabbitmq, "blackhole", seconds=LONGER_THAN_A_LEASE)

    async def take_the_target_away(self) -> None:
        await self.target.stop()
        await asyncio.sleep(SHORTER_THAN_A_LEASE)
        await self.target.start()


async def _broken(way: Proxy, mode: Literal["cut", "blackhole"], *, seconds: float) -> None:
    await way.switch(mode)
    await asyncio.sleep(seconds)
    await way.switch("pass")
