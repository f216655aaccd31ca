"""P01: under load from all sides while everything breaks in turn, nothing is lost and nothing accumulates."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.faults.footprint import Footprint
from tests.faults.ledger import Ledger
from tests.faults.load import SENDERS, Load
from tests.faults.nemesis import Nemesis
from tests.faults.publishing import Publishing, consuming, waiting_in
from tests.faults.ticks import TickLedger, answer, ticking
from tests.gateway_client import GatewayClient
from tests.gateway_process import GatewayProcess
from tests.gateways import nodes_of, running
from tests.servers.postgres import PostgreSQL
from tests.servers.proxy import Proxy
from tests.servers.rabbitmq import RabbitMQ
from tests.target_answer import Answer
from tests.target_server import TargetServer
from tests.waiting import until

IN_FLIGHT = 16
QUEUE = "gateway.soak"
REQUESTS_A_SECOND = 100
DRAINED = 120.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Three nodes, the first of which is never ended, what they depend on, and how all of it is broken."""

    nodes: tuple[GatewayProcess, ...]
    target: TargetServer
    ticks: TickLedger
    broker_url: str
    nemesis: Nemesis

    async def stands(self, strikes: int, *, every: float) -> Footprint:
        """Nothing of what was accepted, confirmed or due may be lost; what the first node took meanwhile."""
        accepting = Load([node.url for node in self.nodes], pause=SENDERS / REQUESTS_A_SECOND)
        async with GatewayClient(self.nodes[0].url) as client:
            await self.ticks.open()
            async with Footprint(self.nodes[0].pid) as footprint, accepting, Publishing(self.broker_url, QUEUE) as sent:
                await self.nemesis.strike(strikes, every=every)
            await until(partial(waiting_in, self.broker_url, QUEUE), 0, "messages in the queue", seconds=DRAINED)
            accepted = {**accepting.accepted, **sent.confirmed}
            ledger = Ledger(accepted, self.target)
            await ledger.check(client, repeatable=strikes * IN_FLIGHT, seconds=DRAINED)
            await self.ticks.check()
            print(f"{len(accepted)} accepted and done, {ledger.repeated} calls repeated")
        return footprint


def configured(target: TargetServer, clock: TargetServer, database_url: str, broker_url: str) -> dict[str, Any]:
    """A webhook, a queue and schedules; a target that was away is called again soon."""
    soon = {"retry": {"base": "500ms", "max": "3s", "attempts": 50}, "breaker": {"pause": "1s", "max_pause": "3s"}}
    queued, ticked = consuming(target, database_url, broker_url, QUEUE), ticking(clock, database_url)
    sync, tick = queued["targets"]["sync"], ticked["targets"]["sync"]
    hook = {"kind": "webhook", "verify": {"scheme": "none"}, "event": {"id": "{{ body.id }}", "type": "sent"}}
    return {
        **queued,
        "server": {**queued["server"], "shutdown_grace": "1s"},
        "sources": {"hook": hook, "queue": queued["sources"]["hook"]},
        "targets": {"sync": {**sync, **soon, "concurrency": IN_FLIGHT}, "clock": {**tick, **soon}},
        "schedules": {name: {**schedule, "target": "clock"} for name, schedule in ticked["schedules"].items()},
        "triggers": {"every": {**queued["triggers"]["every"], "on": ["hook", "queue"]}},
    }


@pytest.fixture
async def site(tmp_path: Path, postgres: PostgreSQL, postgres_url: str, rabbitmq: RabbitMQ) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        target = await stack.enter_async_context(TargetServer(Answer(delay=0.05)))
        clock = await stack.enter_async_context(TargetServer(answer))
        way_to_postgres = await stack.enter_async_context(Proxy(postgres.port))
        way_to_rabbitmq = await stack.enter_async_context(Proxy(rabbitmq.port))
        database_url = postgres_url.replace(f":{postgres.port}/", f":{way_to_postgres.port}/")
        broker_url = f"amqp://guest:guest@127.0.0.1:{way_to_rabbitmq.port}/?heartbeat=2"
        nodes = nodes_of(configured(target, clock, database_url, broker_url), tmp_path, 3)
        await stack.enter_async_context(running(*nodes))
        nemesis = Nemesis(
            mortals=nodes[1:],
            frozen=nodes[0],
            target=target,
            postgres=postgres,
            way_to_postgres=way_to_postgres,
            rabbitmq=rabbitmq,
            way_to_rabbitmq=way_to_rabbitmq,
        )
        yield Site(
            nodes=tuple(nodes),
            target=target,
            ticks=TickLedger(postgres_url),
            broker_url=rabbitmq.url,
            nemesis=nemesis,
        )


@pytest.mark.soak
async def test_p01_for_ten_minutes(site: Site) -> None:
    footprint = await site.stands(30, every=20)

    print(f"{footprint.growth:.2f} MiB a minute; MiB {footprint.memory[::30]}; open files {footprint.files[::30]}")
    assert footprint.growth < 1
    assert footprint.more_files <= 2
