"""P5: a run is called again under the same key, with the same payload and events."""

from pathlib import Path

from tests.end_to_end.sending import caught, sent
from tests.gateway_client import GatewayClient
from tests.gateways import configuration, nodes_of, running
from tests.target_answer import Answer
from tests.target_server import TargetServer


async def repeats_the_same(folder: Path, url: str, *defects: str) -> None:
    """What comes while a run is in progress changes nothing about it, also when it is called again."""
    async with TargetServer() as target:
        target.script.extend([Answer(status=500), Answer(status=503, delay=1), Answer(delay=1)])
        calls = {"retry": {"delays": ["100ms"]}}
        once = {"once": {"key": "all", "until": "finished"}}
        [node] = nodes_of(configuration(target, url, calls=calls, trigger=once), folder, broken=defects)
        async with running(node), GatewayClient(node.url) as client:
            [run_id] = (await client.send(sent(0))).run_ids
            for number in (2, 3):
                await target.wait_for_calls(number)
                await client.send(sent(number))
            run = await client.wait_for(run_id, "succeeded")

            assert [call.idempotency_key for call in target.calls] == [run_id] * 3
            assert [call.attempt for call in target.calls] == [1, 2, 3]
            assert {call.body for call in target.calls} == {b'{"id":"event-0"}'}
            assert (run["events"], run["payload"]) == (1, {"id": "event-0"})


async def test_p5_a_run_is_frozen_once_it_has_been_called(tmp_path: Path, database_url: str) -> None:
    await repeats_the_same(tmp_path, database_url)


async def test_p5_is_tested(tmp_path: Path) -> None:
    with caught():
        await repeats_the_same(tmp_path, "sqlite:///gateway.db", "merges-into-a-run-in-progress")
