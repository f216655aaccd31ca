"""Told to end, and started again: what is in progress drains or is broken off, and what was to come still comes."""

import time
from pathlib import Path

import pytest

from tests.gateway_client import GatewayClient
from tests.gateways import configuration, nodes_of, running
from tests.target_answer import Answer
from tests.target_server import TargetServer

IN_FLIGHT = 50
SLACK = 2.0  # seconds beyond the grace


async def begin(client: GatewayClient, target: TargetServer) -> list[str]:
    """Fifty runs in progress; their ids."""
    replies = [await client.send({"id": f"run-{number}", "type": "sent"}) for number in range(IN_FLIGHT)]
    await target.wait_for_calls(IN_FLIGHT)
    return [run_id for reply in replies for run_id in reply.run_ids]


async def test_c06_what_is_in_progress_drains(tmp_path: Path, database_url: str) -> None:
    async with TargetServer(Answer(delay=2)) as target:
        config = configuration(target, database_url, calls={"concurrency": IN_FLIGHT})
        [node] = nodes_of(config, tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            run_ids = await begin(client, target)

            assert await node.terminate() == 0
            assert len(target.answered) == IN_FLIGHT

            await node.start()
            runs = await client.runs()
            assert {run["id"] for run in runs if run["state"] == "succeeded" and run["attempt"] == 1} == set(run_ids)


async def breaks_off(folder: Path, database_url: str, *, broken: tuple[str, ...] = ()) -> None:
    """The target does not answer within the grace, so the calls are broken off; one attempt is all that a run has."""
    async with TargetServer(Answer(delay=60)) as target:
        config = configuration(
            target,
            database_url,
            server={"shutdown_grace": "1s"},
            calls={"concurrency": IN_FLIGHT, "retry": {"attempts": 1}},
        )
        [node] = nodes_of(config, folder, broken=broken)
        async with running(node), GatewayClient(node.url) as client:
            run_ids = await begin(client, target)

            asked = time.monotonic()
            assert await node.terminate() == 0
            assert time.monotonic() - asked < 1 + SLACK

            target.answer = Answer()
            await node.start()
            await client.wait_until_idle()
            runs = await client.runs()
            assert {run["id"] for run in runs if run["state"] == "succeeded" and run["attempt"] == 2} == set(run_ids)
            tried = (await client.run(run_ids[0]))["attempts"]
            assert [attempt["outcome"] for attempt in tried] == ["broken off", "succeeded"]


async def test_c06_what_does_not_end_is_broken_off_and_not_counted(tmp_path: Path, database_url: str) -> None:
    await breaks_off(tmp_path, database_url)


async def test_c08_a_shutdown_that_counts_as_an_attempt_comes_to_light(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        await breaks_off(tmp_path, "sqlite:///gateway.db", broken=("counts-a-shutdown-as-an-attempt",))


async def test_x05_the_state_of_retries_survives_a_kill(tmp_path: Path, database_url: str) -> None:
    """Neither forgotten, nor begun anew, nor called before its time."""
    async with TargetServer(Answer(status=500)) as target:
        calls = {"retry": {"attempts": 2, "delays": ["4s"]}}
        [node] = nodes_of(configuration(target, database_url, calls=calls), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            [run_id] = (await client.send({"id": "failing", "type": "sent"})).run_ids
            await client.wait_for(run_id, "retrying")

            node.kill()
            await node.start()

            run = await client.wait_for(run_id, "failed")
            first, second = target.calls
            assert run["attempt"] == 2
            assert second.at - first.at >= 4
            assert (first.attempt, second.attempt) == (1, 2)
