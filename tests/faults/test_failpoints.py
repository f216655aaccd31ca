"""Killed at one certain point: between any two steps of accepting an event or of carrying out a run."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.faults.failpoints import ACCEPTING, DIED
from tests.gateway_client import GatewayClient, Reply
from tests.gateway_process import GatewayProcess
from tests.gateways import LEASE, configuration, nodes_of
from tests.target_server import TargetServer


async def accepted(url: str, event_id: str) -> Reply:
    """What a sender does: the same id again and again, until somebody takes it."""
    while True:
        try:
            async with GatewayClient(url) as client:
                reply = await client.send({"id": event_id, "type": "sent"})
            if reply.status == 202:
                return reply
        except aiohttp.ClientError:
            await asyncio.sleep(0.05)


def node(folder: Path, target: TargetServer, database_url: str, *broken: str) -> GatewayProcess:
    """A healthy or a doomed node on the same port, so that the sender need not know."""
    [made] = nodes_of(configuration(target, database_url), folder / "-".join(broken or ("healthy",)), broken=broken)
    return made


async def test_c01_c05_killed_at_every_point_of_accepting(
    tmp_path: Path, target: TargetServer, database_url: str
) -> None:
    """Each event is sent to a gateway that dies of it, and again until one takes it: one row for each id."""
    for point in ACCEPTING:
        async with node(tmp_path, target, database_url, f"die:{point}") as doomed:
            with pytest.raises(aiohttp.ClientError):
                async with GatewayClient(doomed.url) as client:
                    await client.send({"id": point, "type": "sent"})
            assert await doomed.wait() == DIED

    async with node(tmp_path, target, database_url) as healthy, GatewayClient(healthy.url) as client:
        replies = {point: await accepted(healthy.url, point) for point in ACCEPTING}
        await client.wait_until_idle()

        assert {point for point, reply in replies.items() if reply.json["duplicate"]} == {
            "accept.committed",
            "accept.answered",
        }
        runs = {(call.json["id"], call.idempotency_key) for call in target.calls}
        assert sorted(event_id for event_id, _ in runs) == sorted(ACCEPTING)
        stored = (await client.get("events"))["items"]
        assert sorted(event["sender_id"] for event in stored) == sorted(ACCEPTING)


CALLS = {
    "run.claimed": [1],  # the claim was not committed
    "run.started": [2],  # C04: claimed, and never called
    "run.called": [1, 2],  # C02: the target did it, and nobody wrote that down
    "run.settled": [1, 2],
    "run.committed": [1],
}


@pytest.mark.parametrize("point", CALLS)
async def test_c02_c04_c05_killed_at_every_point_of_a_run(
    tmp_path: Path, target: TargetServer, database_url: str, point: str
) -> None:
    """It is called again where it must be, under the same key, with the same body; the death is on record."""
    async with node(tmp_path, target, database_url, f"die:{point}") as doomed:
        [run_id] = (await accepted(doomed.url, "only")).run_ids
        assert await doomed.wait() == DIED

    async with node(tmp_path, target, database_url) as healthy, GatewayClient(healthy.url) as client:
        run = await client.wait_for(run_id, "succeeded", seconds=LEASE + 5)

    outcomes = ["lost"] * (CALLS[point][-1] - 1) + ["succeeded"]
    assert [attempt["outcome"] for attempt in run["attempts"]] == outcomes
    assert [call.attempt for call in target.calls] == CALLS[point]
    assert {call.idempotency_key for call in target.calls} == {run_id}
    assert len({call.body for call in target.calls}) == 1
