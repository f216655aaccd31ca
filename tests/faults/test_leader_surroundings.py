"""What is between the nodes and their database, and beside them, may be odd: one leads, and every tick is made once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faketime import WallClock
from tests.faults.leader import Cluster, stepped_down, times
from tests.faults.ticks import TickLedger, answer, ticking
from tests.gateway_client import GatewayClient
from tests.gateway_process import GatewayProcess
from tests.gateways import LEASE, nodes_of, running
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import PostgreSQL
from tests.servers.proxy import Proxy
from tests.target_server import TargetServer

SKEW = timedelta(minutes=5)


@pytest.fixture
async def target() -> AsyncIterator[TargetServer]:
    async with TargetServer(answer) as server:
        yield server


def through(port: int, url: str, postgres: PostgreSQL) -> str:
    """The same database by way of another port."""
    return url.replace(f":{postgres.port}/", f":{port}/")


@asynccontextmanager
async def led(first: GatewayProcess, *others: GatewayProcess, database_url: str) -> AsyncIterator[Cluster]:
    """The first of them leads, as it was there first."""
    async with running(first):
        cluster = Cluster([first, *others], TickLedger(database_url))
        await cluster.follow()
        async with running(*others):
            await cluster.ledger.open()
            yield cluster


async def test_l05_a_leader_that_reaches_nobody_steps_down_before_another_is_elected(
    tmp_path: Path, target: TargetServer, postgres: PostgreSQL, postgres_url: str
) -> None:
    async with Proxy(postgres.port) as proxy:
        [cut_off] = nodes_of(ticking(target, through(proxy.port, postgres_url, postgres)), tmp_path / "cut-off")
        [other] = nodes_of(ticking(target, postgres_url), tmp_path / "other")
        async with led(cut_off, other, database_url=postgres_url) as cluster:
            await proxy.switch("blackhole")
            epoch = cluster.epoch
            await cluster.follow()
            [elected] = times(other, "leader.elected", cluster.epoch)
            assert await stepped_down(cut_off, epoch) < elected
            await proxy.switch("pass")

            await cluster.ledger.check()
            assert not times(other, "leader.lost", cluster.epoch)


async def test_l06_nodes_of_the_same_name(tmp_path: Path, target: TargetServer, postgres_url: str) -> None:
    """Containers share hostname and process id; each of them is a node of its own nevertheless."""
    nodes = nodes_of(ticking(target, postgres_url), tmp_path, 2, broken=["same-hostname-and-pid"])
    async with led(*nodes, database_url=postgres_url) as cluster:
        first, second = nodes
        async with GatewayClient(second.url) as client:
            status = await client.get("status")
        assert {node["name"] for node in status["nodes"]} == {"container:1"} == {status["leader"]["node"]}
        assert status["leader"]["node_id"] != status["node"]["id"]
        first.kill()
        await cluster.follow()

        await cluster.ledger.check()
        assert (cluster.leader, cluster.epoch) == (second, 2)


async def test_l08_a_pooler_that_changes_connections_with_every_transaction(
    tmp_path: Path, target: TargetServer, postgres: PostgreSQL, postgres_url: str, pgbouncer: PgBouncer
) -> None:
    """Nothing of a session can be relied on, and there is no LISTEN."""
    config = ticking(target, through(pgbouncer.port, postgres_url, postgres), pgbouncer=True)
    async with running(*nodes_of(config, tmp_path, 2)) as nodes:
        cluster = Cluster(nodes, TickLedger(postgres_url))
        await cluster.begin()
        resigning = cluster.leader
        assert await resigning.terminate() == 0
        await cluster.follow()
        await resigning.start()
        cluster.leader.kill()
        await cluster.follow()

        await cluster.ledger.check()
        assert await cluster.ledger.ask("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
        assert cluster.epoch == 3


def env_of_a_clock(folder: Path, *, ahead: timedelta) -> dict[str, str]:
    folder.mkdir()
    clock = WallClock(folder)
    clock.set(ahead=ahead)
    return clock.env


@pytest.mark.faketime
async def test_l09_clocks_that_differ(tmp_path: Path, target: TargetServer, postgres_url: str) -> None:
    """The database's is the only one that counts: for the lease, and for what is due."""
    config = ticking(target, postgres_url)
    [ahead] = nodes_of(config, tmp_path, env=env_of_a_clock(tmp_path / "ahead", ahead=SKEW))
    [behind] = nodes_of(config, tmp_path / "behind", env=env_of_a_clock(tmp_path / "behind", ahead=-SKEW))
    [right] = nodes_of(config, tmp_path / "right")
    async with led(ahead, behind, right, database_url=postgres_url) as cluster:
        await asyncio.sleep(LEASE)
        assert await cluster.ledger.ask("SELECT epoch FROM leadership") == 1
        ahead.kill()
        await cluster.follow()

        await cluster.ledger.check()
        assert await cluster.ledger.ask("SELECT epoch FROM leadership") == 2
        assert all(timedelta(0) <= tick.late_by < SKEW for tick in await cluster.ledger.ticks())
