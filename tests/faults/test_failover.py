"""The database dies and its standby takes over: nodes find it, and nothing accepted is lost."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pytest

from tests.faults.ledger import Ledger
from tests.faults.load import Load
from tests.gateway_client import GatewayClient
from tests.gateway_process import GatewayProcess
from tests.gateways import configuration, nodes_of, running
from tests.servers.postgres import PostgreSQL
from tests.servers.proxy import Proxy
from tests.target_server import TargetServer
from tests.waiting import until

IN_FLIGHT = 8
TAKES_OVER = 15.0  # seconds


class Pair:
    """Commits on the primary wait for the standby, so what was confirmed is there too."""

    def __init__(self, stack: ExitStack) -> None:
        self.primary = stack.enter_context(closing(PostgreSQL()))
        self.primary.start()
        self.standby = stack.enter_context(closing(PostgreSQL(primary=self.primary)))
        self.standby.start()
        self.primary.set("synchronous_standby_names", "*")


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    with ExitStack() as stack:
        yield await asyncio.to_thread(Pair, stack)


async def readiness(client: GatewayClient) -> int:
    return (await client.request("GET", "/readyz")).status


async def survives(nodes: Sequence[GatewayProcess], target: TargetServer, pair: Pair, proxy: Proxy | None) -> None:
    """The name, or proxy, of the database leads to the standby before that takes writes."""
    async with running(*nodes), GatewayClient(nodes[0].url) as client:
        assert (await client.get("status"))["weaknesses"] == []
        async with Load([node.url for node in nodes]) as load:
            await target.wait_for_calls(20)
            await asyncio.to_thread(pair.primary.kill)
            if proxy:
                proxy.target_port = pair.standby.port
            await until(partial(readiness, client), 503, "readiness")
            await asyncio.to_thread(pair.standby.promote)
            await target.wait_for_calls(len(target.calls) + 20, seconds=TAKES_OVER)
        await Ledger(load.accepted, target).check(client, repeatable=IN_FLIGHT)


async def test_d06_a_name_that_leads_to_the_standby(tmp_path: Path, target: TargetServer, pair: Pair) -> None:
    async with Proxy(pair.primary.port) as proxy:
        url = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
        config = configuration(target, url, calls={"concurrency": IN_FLIGHT})

        await survives(nodes_of(config, tmp_path, 2), target, pair, proxy)


async def test_d06_several_hosts_of_which_one_takes_writes(tmp_path: Path, target: TargetServer, pair: Pair) -> None:
    url = f"postgresql://postgres@127.0.0.1:{pair.standby.port},127.0.0.1:{pair.primary.port}/postgres"
    config = configuration(target, url, calls={"concurrency": IN_FLIGHT})

    await survives(nodes_of(config, tmp_path, 2), target, pair, None)


async def test_d06_a_primary_that_takes_no_writes_for_a_while(
    tmp_path: Path, target: TargetServer, postgres: PostgreSQL, postgres_url: str
) -> None:
    """As during a planned switch-over: senders are asked to come again, and no connection stays stuck."""
    name = postgres_url.rsplit("/", 1)[1]
    nodes = nodes_of(configuration(target, postgres_url, calls={"concurrency": IN_FLIGHT}), tmp_path, 2)
    async with running(*nodes), GatewayClient(nodes[0].url) as client:
        async with Load([node.url for node in nodes]) as load:
            await target.wait_for_calls(20)
            postgres.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
            postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            await until(partial(readiness, client), 503, "readiness")
            postgres.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
            await target.wait_for_calls(len(target.calls) + 20, seconds=TAKES_OVER)
        await Ledger(load.accepted, target).check(client, repeatable=IN_FLIGHT)
