"""Killed under load, again and again: nothing accepted is lost, and little is done twice."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults.ledger import Ledger
from tests.faults.load import Load
from tests.gateway_client import GatewayClient
from tests.gateway_process import GatewayProcess
from tests.gateways import LEASE, configuration, nodes_of, running
from tests.target_server import TargetServer

KILLS = 20
IN_FLIGHT = 8
LOOKS_EVERY = 1.0  # seconds between two looks of a node for what others have lost
BUSY = 15.0  # seconds that whatever else this machine does may cost, starting a process included


async def survives(nodes: Sequence[GatewayProcess], target: TargetServer, *, kills: int, resumes: float) -> None:
    """Kills nodes at random moments, one in five while it starts; after each kill work must go on in time."""
    async with running(*nodes):
        async with Load([node.url for node in nodes]) as load:
            for number in range(kills):
                await calls_go_on(target, random.randrange(1, 30), seconds=resumes)
                node = random.choice(nodes)
                node.kill()
                node.spawn()
                if number % 5 == 0:
                    await asyncio.sleep(random.uniform(0, 1))
                    node.kill()
                    node.spawn()
            await calls_go_on(target, IN_FLIGHT, seconds=resumes)
        await asyncio.gather(*(node.wait_until_ready() for node in nodes))
        async with GatewayClient(nodes[0].url) as client:
            await Ledger(load.accepted, target).check(client, repeatable=(kills + kills // 5) * IN_FLIGHT)


async def calls_go_on(target: TargetServer, count: int, *, seconds: float) -> None:
    before = len(target.calls)
    try:
        await target.wait_for_calls(before + count, seconds=seconds)
    except TimeoutError:
        raise AssertionError(f"only {len(target.calls) - before} of {count} calls within {seconds} s") from None


def sqlite_node(folder: Path, target: TargetServer, *defects: str) -> list[GatewayProcess]:
    config = configuration(target, "sqlite:///gateway.db", calls={"concurrency": IN_FLIGHT})
    return nodes_of(config, folder, broken=defects)


async def test_p1_killed_under_load_on_sqlite(tmp_path: Path, target: TargetServer) -> None:
    """P1: accepted means durable; C01, D04: one run for each id, however often it had to be sent."""
    await survives(sqlite_node(tmp_path, target), target, kills=KILLS, resumes=BUSY)


async def test_p1_killed_under_load_on_postgres(tmp_path: Path, target: TargetServer, postgres_url: str) -> None:
    """P1 with two nodes: the other one goes on, within a lease even where the killed one had taken every slot."""
    config = configuration(target, postgres_url, calls={"concurrency": IN_FLIGHT})
    await survives(nodes_of(config, tmp_path, 2), target, kills=KILLS, resumes=LEASE + LOOKS_EVERY + BUSY)


@pytest.mark.parametrize("defect", ["acknowledges-before-the-commit", "settles-before-the-call"])
async def test_c08_kills_bring_defects_to_light(tmp_path: Path, target: TargetServer, defect: str) -> None:
    nodes = sqlite_node(tmp_path, target, defect)

    with pytest.raises(AssertionError, match=r"lost \d+ of \d+"):
        await survives(nodes, target, kills=4, resumes=BUSY)


@pytest.mark.soak
@pytest.mark.parametrize("count", [1, 2])
async def test_p1_killed_under_load_with_the_usual_lease(
    tmp_path: Path, target: TargetServer, count: int, request: pytest.FixtureRequest
) -> None:
    """Sixty kills in unscaled time."""
    lease = {"lease": "15s"}
    calls = {"concurrency": IN_FLIGHT}
    url = "sqlite:///gateway.db" if count == 1 else request.getfixturevalue("postgres_url")
    nodes = nodes_of(configuration(target, url, server=lease, calls=calls), tmp_path, count)

    await survives(nodes, target, kills=60, resumes=BUSY if count == 1 else 15 + LOOKS_EVERY + BUSY)
