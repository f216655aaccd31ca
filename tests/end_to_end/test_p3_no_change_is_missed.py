"""P3: what comes while its sync runs leads to exactly one further run, however many events that are."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.end_to_end.sending import caught, send_all, sent
from tests.gateway_client import GatewayClient
from tests.gateways import configuration, nodes_of, running
from tests.target_answer import Answer
from tests.target_server import TargetServer

MANY = 500


Situation = Callable[[GatewayClient, TargetServer, str], Awaitable[None]]


async def in_progress(_: GatewayClient, target: TargetServer, __: str) -> None:
    await target.wait_for_calls(1)


async def cancel_requested(client: GatewayClient, target: TargetServer, run_id: str) -> None:
    """The call ends soon, so the target is paused, or what comes last would come too late to be merged."""
    await target.wait_for_calls(1)
    await client.do("targets/sync/pause")
    await client.do(f"runs/{run_id}/cancel")


async def retrying(client: GatewayClient, _: TargetServer, run_id: str) -> None:
    await client.wait_for(run_id, "retrying")


async def paused(client: GatewayClient, target: TargetServer, run_id: str) -> None:
    await client.wait_for(run_id, "succeeded")
    await client.do("targets/sync/pause")


SITUATIONS: dict[Situation, tuple[Answer, int, str]] = {
    # what the first call is answered, how many events the further run lists, what becomes of the first run
    in_progress: (Answer(delay=3), MANY, "succeeded"),
    cancel_requested: (Answer(delay=30), MANY, "cancelled"),
    retrying: (Answer(status=500), MANY + 1, "superseded"),
    paused: (Answer(), MANY, "succeeded"),
}


async def misses_nothing(folder: Path, url: str, situation: Situation, *defects: str) -> None:
    """Five hundred events with one key lead to exactly one further run, which lists them all."""
    answer, listed, becomes = SITUATIONS[situation]
    async with TargetServer() as target:
        target.script.append(answer)
        config = configuration(
            target,
            url,
            calls={"retry": {"delays": ["4s"]}, "json": {"ids": "{{ events | map(attribute='data.id') | list }}"}},
            trigger={"once": {"key": "all"}},
        )
        [node] = nodes_of(config, folder, broken=defects)
        async with running(node), GatewayClient(node.url) as client:
            [first] = (await client.send(sent(0))).run_ids
            await situation(client, target, first)
            replies = await send_all([sent(number) for number in range(1, MANY + 1)], client)
            if situation in (cancel_requested, paused):
                await client.do("targets/sync/resume")
            await client.wait_until_idle()

            [further] = {run_id for reply in replies for run_id in reply.run_ids}
            runs = {run["id"]: run["state"] for run in await client.runs()}
            assert runs == {first: becomes, further: "succeeded"}
            run = await client.run(further)
            assert run["events"] == len(run["event_ids"]) == listed
            assert sorted(target.calls[-1].json["ids"]) == sorted(
                f"event-{number}" for number in range(MANY + 1 - listed, MANY + 1)
            )
            assert len(target.calls) == 2


@pytest.mark.parametrize("situation", SITUATIONS)
async def test_p3_what_comes_meanwhile_leads_to_one_further_run(
    tmp_path: Path, database_url: str, situation: Situation
) -> None:
    await misses_nothing(tmp_path, database_url, situation)


async def test_p3_is_tested(tmp_path: Path) -> None:
    with caught():
        await misses_nothing(tmp_path, "sqlite:///gateway.db", in_progress, "drops-what-comes-during-a-run")
