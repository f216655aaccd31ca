"""Nodes that share a database: one that hangs is succeeded by another, and finds that it has nothing more to say."""

import socket
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.gateway_client import GatewayClient
from tests.gateway_process import GatewayProcess
from tests.gateways import LEASE, configuration, nodes_of, running
from tests.target_answer import Answer
from tests.target_server import Call, TargetServer
from tests.waiting import until

LOCKS_ARE_TAKEN_AWAY = 5  # seconds after which the database ends the transaction of a node that hangs
TAKEN_OVER = max(LEASE, LOCKS_ARE_TAKEN_AWAY) + 3  # another node starts, and looks every second for what was lost


def name(node: GatewayProcess) -> str:
    return f"{socket.gethostname()}:{node.pid}"


async def names_of_nodes(client: GatewayClient) -> set[str]:
    """Those that have a lease."""
    return {node["name"] for node in (await client.get("status"))["nodes"]}


def is_first(call: Call, event_id: str) -> bool:
    return (call.json["id"], call.attempt) == (event_id, 1)


def tried(run: dict[str, Any]) -> list[tuple[int, str]]:
    return [(attempt["number"], attempt["outcome"]) for attempt in run["attempts"]]


async def warm_up(client: GatewayClient) -> None:
    """Has every statement prepared: PostgreSQL takes no locks from who hangs between preparing one and executing it."""
    for number in range(5):
        await client.send({"id": f"early-{number}", "type": "sent"})
    await client.wait_until_idle()


async def test_l06_two_nodes_of_the_same_name(tmp_path: Path, target: TargetServer, postgres_url: str) -> None:
    """Containers share hostname and process id; their leases are held under identities of their own."""
    config = configuration(target, postgres_url, calls={"concurrency": 8})
    first, second = nodes_of(config, tmp_path, 2, broken=["same-hostname-and-pid"])
    async with running(first, second), GatewayClient(first.url) as one, GatewayClient(second.url) as other:
        known = (await other.get("status"))["nodes"]
        assert [node["name"] for node in known] == ["container:1", "container:1"]
        assert len({node["id"] for node in known}) == 2

        for number in range(20):
            await (one, other)[number % 2].send({"id": f"event-{number}", "type": "sent"})
        await other.wait_until_idle()
        first.kill()
        await other.send({"id": "afterwards", "type": "sent"})
        await target.wait_for_calls(21)


async def test_l10_a_node_that_hangs_in_a_call_is_succeeded(tmp_path: Path, postgres_url: str) -> None:
    """Stopped for longer than its lease while the target takes its time: the run is begun again elsewhere."""
    slow, quick = Answer(delay=LEASE + 4), Answer()
    async with TargetServer(lambda call: slow if is_first(call, "slow") else quick) as target:
        hanging, other = nodes_of(configuration(target, postgres_url), tmp_path, 2)
        async with running(hanging), GatewayClient(hanging.url) as sender:
            await warm_up(sender)
            [run_id] = (await sender.send({"id": "slow", "type": "sent"})).run_ids
            await target.wait_for_calls(5 + 1)
            hanging.stop()
            async with running(other), GatewayClient(other.url) as client:
                run = await client.wait_for(run_id, "succeeded", seconds=TAKEN_OVER)
                assert await names_of_nodes(client) == {name(other)}

                hanging.cont()
                await until(partial(names_of_nodes, client), {name(hanging), name(other)}, "nodes with a lease")

                assert tried(run) == [(1, "lost"), (2, "succeeded")]
                assert await client.run(run_id) == run


async def settles_late(folder: Path, database_url: str, *defects: str) -> None:
    """A node hangs with the outcome in its hands, and hands it in when the run is in progress elsewhere."""
    quick, slow = Answer(), Answer(delay=3)
    async with TargetServer(lambda call: slow if call.attempt == 2 else quick) as target:
        config = configuration(target, database_url)
        [late] = nodes_of(config, folder / "late", broken=["freeze:late.settling", *defects])
        [other] = nodes_of(config, folder / "other")
        async with running(late), GatewayClient(late.url) as sender:
            await warm_up(sender)
            [run_id] = (await sender.send({"id": "late", "type": "sent"})).run_ids
            await until(partial(is_stopped, late), True, "the node is stopped")
            async with running(other), GatewayClient(other.url) as client:
                await target.wait_for_calls(5 + 2, seconds=TAKEN_OVER)
                late.cont()
                run = await client.wait_for(run_id, "succeeded")

                assert tried(run) == [(1, "lost"), (2, "succeeded")]
                assert run["attempts"][1]["node"] == name(other)
                assert len(target.answered) == 5 + 2
                assert "attempt.fenced" in [line["event"] for line in late.log_lines()]


async def is_stopped(node: GatewayProcess) -> bool:
    return psutil.Process(node.pid).status() == psutil.STATUS_STOPPED


async def test_l10_what_is_settled_too_late_is_refused(tmp_path: Path, postgres_url: str) -> None:
    await settles_late(tmp_path, postgres_url)


async def test_c08_a_missing_fence_comes_to_light(tmp_path: Path, postgres_url: str) -> None:
    with pytest.raises(AssertionError):
        await settles_late(tmp_path, postgres_url, "settles-without-fence")


async def test_a_node_that_hangs_in_a_transaction_holds_nobody_up(tmp_path: Path, postgres_url: str) -> None:
    """It holds the locks of its rows; the database takes them away."""
    async with TargetServer() as target:
        config = configuration(target, postgres_url)
        [hanging] = nodes_of(config, tmp_path / "hanging", broken=["freeze:late.settled"])
        [other] = nodes_of(config, tmp_path / "other")
        async with running(hanging), GatewayClient(hanging.url) as sender:
            await warm_up(sender)
            [run_id] = (await sender.send({"id": "late", "type": "sent"})).run_ids
            await until(partial(is_stopped, hanging), True, "the node is stopped")
            async with running(other), GatewayClient(other.url) as client:
                run = await client.wait_for(run_id, "succeeded", seconds=30)
                assert tried(run) == [(1, "lost"), (2, "succeeded")]
