"""A job at a target is started once in total, whatever becomes of the gateways that follow it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.sending import sent
from tests.gateway_client import GatewayClient
from tests.gateway_process import GatewayProcess
from tests.gateways import LEASE, configuration, nodes_of, running
from tests.target_server import TargetServer
from tests.targets.jobs import Jobs, followed


@pytest.fixture
def jobs() -> Jobs:
    """They run until the test says otherwise."""
    return Jobs(course=["running"])


@pytest.fixture
async def target(jobs: Jobs) -> AsyncIterator[TargetServer]:
    async with TargetServer(jobs.answer) as target:
        yield target


def gateways(target: TargetServer, url: str, folder: Path, count: int = 1, **changes: Any) -> list[GatewayProcess]:
    calls = {"kind": "http", **followed(target.url), "retry": {"delays": ["100ms"]}, **changes}
    return nodes_of(configuration(target, url, calls=calls, trigger={"once": {"key": "all"}}), folder, count)


def starts(target: TargetServer) -> int:
    return len([call for call in target.calls if call.method == "POST"])


async def looked_at(target: TargetServer, times: int = 2) -> None:
    """Until the job has been asked after so often from now on."""
    seen = len(target.calls)
    await target.wait_for_calls(seen + times)


async def interrupted(
    node: GatewayProcess, jobs: Jobs, target: TargetServer, end: Callable[[], Awaitable[None]]
) -> dict[str, Any]:
    """The run of a job that is done only after its gateway has ended, and has been started again."""
    async with running(node), GatewayClient(node.url) as client:
        [run_id] = (await client.send(sent(0))).run_ids
        await target.wait_for_calls(3)
        await end()
        await node.start()
        await looked_at(target)
        jobs.all[0].states = ["done"]
        return await client.wait_for(run_id, "succeeded")


async def test_kill_9_while_a_job_runs(tmp_path: Path, database_url: str, jobs: Jobs, target: TargetServer) -> None:
    [node] = gateways(target, database_url, tmp_path)

    async def kill() -> None:
        node.kill()

    run = await interrupted(node, jobs, target, kill)

    assert starts(target) == 1
    assert [attempt["outcome"] for attempt in run["attempts"]] == ["lost", "succeeded"]


async def test_sigterm_hands_the_job_over_at_once(
    tmp_path: Path, database_url: str, jobs: Jobs, target: TargetServer
) -> None:
    [node] = gateways(target, database_url, tmp_path)

    async def terminate() -> None:
        assert await node.terminate(seconds=5) == 0  # and not after the grace of 30 s

    run = await interrupted(node, jobs, target, terminate)

    assert starts(target) == 1
    assert [attempt["outcome"] for attempt in run["attempts"]] == ["broken off", "succeeded"]


async def test_another_node_goes_on_following_when_one_dies(
    tmp_path: Path, postgres_url: str, jobs: Jobs, target: TargetServer
) -> None:
    first, second = gateways(target, postgres_url, tmp_path, 2)
    async with running(first), GatewayClient(first.url) as client:
        [run_id] = (await client.send(sent(0))).run_ids
        await target.wait_for_calls(3)
        async with running(second), GatewayClient(second.url) as survivor:
            first.kill()
            await asyncio.sleep(LEASE)
            await looked_at(target)
            jobs.all[0].states = ["done"]
            run = await survivor.wait_for(run_id, "succeeded")

    assert starts(target) == 1
    assert [attempt["outcome"] for attempt in run["attempts"]] == ["lost", "succeeded"]


async def test_a_gateway_that_is_killed_before_it_heard_of_the_job_finds_it(
    tmp_path: Path, jobs: Jobs, target: TargetServer
) -> None:
    """The target answers late, so the job is there and the handle is not."""
    started = jobs.answer
    target.answer = lambda call: replace(started(call), delay=2 if call.method == "POST" else 0)
    jobs.course = ["running", "done"]
    [node] = gateways(target, "sqlite:///gateway.db", tmp_path)
    async with running(node), GatewayClient(node.url) as client:
        [run_id] = (await client.send(sent(0))).run_ids
        await target.wait_for_calls(1)
        node.kill()
        await node.start()
        await client.wait_for(run_id, "succeeded")

    assert starts(target) == 1


async def test_who_cancels_the_run_ends_the_job_whichever_node_follows_it(
    tmp_path: Path, postgres_url: str, jobs: Jobs, target: TargetServer
) -> None:
    first, second = gateways(target, postgres_url, tmp_path, 2)
    async with running(first), GatewayClient(first.url) as client:
        [run_id] = (await client.send(sent(0))).run_ids
        await target.wait_for_calls(3)
        async with running(second), GatewayClient(second.url) as other:
            await other.do(f"runs/{run_id}/cancel", reason="wrong site")
            run = await other.wait_for(run_id, "cancelled", seconds=5)

    assert jobs.all[0].states == ["aborted"]
    assert "wrong site" in run["reason"]


async def test_a_cancelled_run_has_its_job_cancelled_even_while_its_next_attempt_is_waited_for(
    tmp_path: Path, jobs: Jobs, target: TargetServer
) -> None:
    [node] = gateways(target, "sqlite:///gateway.db", tmp_path, timeout="300ms", retry={"delays": ["1h"]})
    async with running(node), GatewayClient(node.url) as client:
        [run_id] = (await client.send(sent(0))).run_ids
        waiting = await client.wait_for(run_id, "retrying")
        await client.do(f"runs/{run_id}/cancel")
        await client.wait_for(run_id, "cancelled", seconds=5)

    assert "its job was still going on" in waiting["reason"]
    assert jobs.all[0].states == ["aborted"]


async def test_newer_events_wait_for_the_job_instead_of_starting_another(
    tmp_path: Path, jobs: Jobs, target: TargetServer
) -> None:
    [node] = gateways(target, "sqlite:///gateway.db", tmp_path, timeout="500ms")
    async with running(node), GatewayClient(node.url) as client:
        [run_id] = (await client.send(sent(0))).run_ids
        await target.wait_for_calls(3)
        [newer] = (await client.send(sent(1))).run_ids
        await asyncio.sleep(1)  # time for an attempt that ends by its deadline, and one that goes on
        assert starts(target) == 1
        jobs.all[0].states, jobs.course = ["done"], ["done"]
        await client.wait_for(run_id, "succeeded")
        await client.wait_for(newer, "succeeded")

    assert starts(target) == 2
