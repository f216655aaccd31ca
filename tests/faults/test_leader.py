"""Three nodes on one database, and what befalls their leaders one after another: no tick is lost, none is doubled."""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial

import psutil
import pytest
import pytest_asyncio

from tests.faults.leader import SUCCEEDED, Cluster, stepped_down, times
from tests.faults.ticks import TickLedger, answer, ticking
from tests.gateway_client import GatewayClient
from tests.gateway_process import GatewayProcess
from tests.gateways import nodes_of, running
from tests.servers.postgres import PostgreSQL
from tests.target_server import TargetServer
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

KILLS = 3
BREAKS = 8
HANDOVERS = 10
HANDED_OVER = 1.0  # seconds
LOCKS_ARE_TAKEN_AWAY = 5  # seconds after which the database ends the transaction of a node that hangs
HAS_OTHERS = "SELECT count(*) > 1 FROM nodes WHERE lease_until > extract(epoch FROM clock_timestamp()) * 1000000"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nodes_and_their_leaders(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgreSQL
) -> AsyncIterator[Cluster]:
    postgres.start()
    url = postgres.create_database("leaders")
    async with TargetServer(answer) as target:
        nodes = nodes_of(ticking(target, url), tmp_path_factory.mktemp("leaders"), 3)
        async with running(*nodes):
            yield Cluster(nodes, TickLedger(url))
    postgres.start()
    postgres.drop_database("leaders")


@pytest_asyncio.fixture(loop_scope="module")
async def cluster(nodes_and_their_leaders: Cluster, postgres: PostgreSQL) -> Cluster:
    postgres.start()
    await nodes_and_their_leaders.begin()
    return nodes_and_their_leaders


async def test_l01_leaders_are_killed(cluster: Cluster) -> None:
    for _ in range(KILLS):
        killed = cluster.leader
        killed.kill()
        await cluster.follow()
        killed.spawn()
        await asyncio.sleep(random.uniform(0, 1))

    await cluster.ledger.check()


async def test_l02_a_leader_hangs_for_longer_than_its_lease(cluster: Cluster) -> None:
    hanging, epoch = cluster.leader, cluster.epoch
    hanging.stop()
    await cluster.follow(seconds=LOCKS_ARE_TAKEN_AWAY + SUCCEEDED)
    await cluster.ledger.goes_on()
    hanging.cont()
    await stepped_down(hanging, epoch)

    await cluster.ledger.check()


async def test_l03_the_connections_of_the_leader_are_broken(cluster: Cluster) -> None:
    """In the middle of its ticks, again and again."""
    break_some = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE client_port = ANY($1)"
    broken = 0
    for _ in range(BREAKS):
        connections = psutil.Process(cluster.leader.pid).net_connections()
        broken += await cluster.ledger.ask(break_some, [connection.laddr.port for connection in connections])
        await asyncio.sleep(random.uniform(0.1, 0.4))
    assert broken > BREAKS

    await cluster.ledger.check()


async def readiness(node: GatewayProcess) -> tuple[int, bool, bool]:
    """Its status; whether the store is there; whether somebody leads."""
    async with GatewayClient(node.url) as client:
        reply = await client.request("GET", "/readyz")
    return reply.status, reply.json["store"] == "ok", reply.json["leader"] == "ok"


async def all_are(nodes: Sequence[GatewayProcess], expected: tuple[int, bool, bool]) -> None:
    await asyncio.gather(*(until(partial(readiness, node), expected, "readiness") for node in nodes))


async def test_l04_the_database_is_away(cluster: Cluster, postgres: PostgreSQL) -> None:
    """Nobody leads meanwhile; afterwards each schedule makes up for it by its own policy."""
    former, epoch = cluster.leader, cluster.epoch
    await asyncio.to_thread(postgres.stop, "immediate")
    await stepped_down(former, epoch)
    await all_are(cluster.nodes, (503, False, False))
    assert not any(times(node, "leader.elected", epoch + 1) for node in cluster.nodes)
    await asyncio.to_thread(postgres.start)
    await cluster.follow(seconds=2 * SUCCEEDED)

    await cluster.ledger.check()
    assert {"newest", "scattered"} <= {tick.schedule for tick in await cluster.ledger.ticks() if tick.missed}
    await all_are(cluster.nodes, (200, True, True))


async def test_l07_a_leader_is_told_to_end_around_a_tick(cluster: Cluster) -> None:
    """The next leads at once, and one of them makes the tick."""
    for _ in range(HANDOVERS):
        leader, epoch = cluster.leader, cluster.epoch
        await until(partial(cluster.ledger.ask, HAS_OTHERS), True, "another node is ready to lead")
        await asyncio.sleep(1 - time.time() % 1 + random.uniform(-0.1, 0.1))
        leader.send(signal.SIGTERM)
        await cluster.follow()
        [elected] = times(cluster.leader, "leader.elected", cluster.epoch)
        assert await leader.wait() == 0
        [resigned] = times(leader, "leader.resigned", epoch)
        assert abs((elected - resigned).total_seconds()) < HANDED_OVER
        leader.spawn()

    await cluster.ledger.check()
