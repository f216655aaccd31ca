"""Two nodes: what a call says is seen from the other one and outlives its own, and it is ended from either."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway_client import GatewayClient
from tests.gateway_process import GatewayProcess
from tests.gateways import LEASE, configuration, nodes_of, running
from tests.stream import Sent, sent
from tests.target_answer import Answer
from tests.target_server import TargetServer
from tests.waiting import until

TALKS = "echo begun; sleep 0.1; for n in 1 2 3; do echo line $n; sleep 1; done; test $GATEWAY_ATTEMPT = 2"
DEAF = "trap '' TERM; echo begun; while :; do sleep 0.05; done"
CANCELLED_WITHIN = 5.0


def node_pair(folder: Path, database_url: str, **command: Any) -> list[GatewayProcess]:
    """One that works, and one that only answers."""
    config = {
        "server": {"lease": f"{LEASE:g}s"},
        "database": {"url": database_url},
        "targets": {"sync": {"kind": "command", "nodes": ["works"], **command}},
    }
    working = config | {"server": {"lease": f"{LEASE:g}s", "labels": ["works"]}}
    return nodes_of(working, folder / "working") + nodes_of(config, folder / "answering")


@asynccontextmanager
async def following(node: GatewayProcess, run_id: str, last_id: str = "") -> AsyncIterator[AsyncIterator[Sent]]:
    url = f"{node.url}/api/v1/runs/{run_id}/log?follow=1"
    headers = {"Last-Event-ID": last_id} if last_id else {}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        assert response.status == 200
        yield sent(response)


async def begun(client: GatewayClient) -> str:
    """The id of a run whose call has begun to speak."""
    run: dict[str, Any] = await client.do("targets/sync/run")

    async def has_begun() -> bool:
        return b"\nbegun\n" in (await client.request("GET", f"/api/v1/runs/{run['id']}/log")).body

    await until(has_begun, True, "it has begun")
    return str(run["id"])


async def test_a_log_is_followed_from_another_node_which_may_be_stopped(tmp_path: Path, postgres_url: str) -> None:
    keys = {"argv": ["sh", "-c", TALKS], "retry": {"attempts": 2, "delays": ["100ms"]}}
    working, answering = node_pair(tmp_path, postgres_url, **keys)
    async with running(working, answering), GatewayClient(answering.url) as client:
        run_id = await begun(client)
        events: list[Sent] = []
        async with following(answering, run_id) as stream:
            stopping = asyncio.create_task(_stop_soon(answering))
            events += [event async for event in stream]
        await stopping
        place = [event.id for event in events if event.id][-1] or ""
        async with following(working, run_id, place) as stream:
            events += [event async for event in stream]

    said = [line for event in events if event.name == "log" for line in event.data.split("\n")]
    assert [line for line in said if line.startswith("line")] == ["line 1", "line 2", "line 3"] * 2
    assert [event.json["outcome"] for event in events if event.name == "outcome"] == ["failed", "succeeded"]
    assert [event.name for event in events].count("end") == 1


async def _stop_soon(node: GatewayProcess) -> None:
    await asyncio.sleep(1.5)
    assert await node.terminate(seconds=5) == 0


async def test_what_a_call_said_outlives_its_node(tmp_path: Path, postgres_url: str) -> None:
    command = {"argv": ["sh", "-c", DEAF], "grace": "100ms", "on_lost": "fail"}
    working, answering = node_pair(tmp_path, postgres_url, **command)
    async with running(working, answering), GatewayClient(answering.url) as client:
        run_id = await begun(client)
        working.kill()
        await working.start()
        run = await client.wait_for(run_id, "failed")

    [attempt] = run["attempts"]
    assert (attempt["outcome"], attempt["log"].splitlines()[-1]) == ("lost", "begun")


@pytest.mark.parametrize("grace", ["100ms", "2s"])
async def test_a_deaf_command_is_cancelled_from_another_node_within_seconds(
    tmp_path: Path, postgres_url: str, grace: str
) -> None:
    working, answering = node_pair(tmp_path, postgres_url, argv=["sh", "-c", DEAF], grace=grace)
    async with running(working, answering), GatewayClient(answering.url) as client:
        await cancelled_in_time(client, await begun(client))


async def cancelled_in_time(client: GatewayClient, run_id: str) -> None:
    asked = time.monotonic()
    await client.do(f"runs/{run_id}/cancel", reason="wrong site")
    run = await client.wait_for(run_id, "cancelled", seconds=CANCELLED_WITHIN)

    assert time.monotonic() - asked < CANCELLED_WITHIN
    assert run["reason"].endswith("wrong site")


@pytest.mark.parametrize("database", [{}, {"pgbouncer": True}], ids=["told", "found by looking"])
async def test_a_call_that_is_not_answered_is_cancelled_from_any_node(
    tmp_path: Path, postgres_url: str, database: dict[str, Any]
) -> None:
    """Also where nodes cannot tell each other: one look a second has to do."""
    async with TargetServer(Answer(delay=60)) as target:
        config = configuration(target, postgres_url, calls={"concurrency": 4})
        config["database"] |= database
        nodes = nodes_of(config, tmp_path, 2)
        async with running(*nodes), GatewayClient(nodes[0].url) as one, GatewayClient(nodes[1].url) as other:
            run_ids = [(await one.send({"id": f"{number}", "type": "sent"})).run_ids[0] for number in range(4)]
            await target.wait_for_calls(4)
            for client, run_id in zip([one, other, one, other], run_ids, strict=True):
                await cancelled_in_time(client, run_id)
            await until(partial(_running, target), 0, "calls in progress")


async def _running(target: TargetServer) -> int:
    return target.running
