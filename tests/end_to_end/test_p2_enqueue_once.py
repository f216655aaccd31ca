"""P2: a redelivery, or a concurrent duplicate, never makes a second run for a key that is held."""

from pathlib import Path

from tests.end_to_end.sending import caught, send_all, sent
from tests.gateway_client import GatewayClient
from tests.gateways import configuration, nodes_of, running
from tests.target_server import TargetServer


async def makes_one_run(folder: Path, url: str, *defects: str) -> None:
    """The same delivery, fifty times at once, on two nodes."""
    async with TargetServer() as target:
        one, other = nodes_of(configuration(target, url, calls={"concurrency": 8}), folder, 2, broken=defects)
        async with running(one, other), GatewayClient(one.url) as first, GatewayClient(other.url) as second:
            replies = await send_all([sent(1)] * 50, first, second)
            await first.wait_until_idle()

            assert {reply.status for reply in replies} == {202}
            assert len({reply.json["event_id"] for reply in replies}) == 1
            assert sorted(reply.json["duplicate"] for reply in replies) == [False] + [True] * 49
            [run] = await first.runs()
            [call] = target.calls
            assert call.idempotency_key == run["id"]
            [event] = (await first.get("events"))["items"]
            assert event["deliveries"] == 50


async def test_p2_the_same_delivery_makes_one_run(tmp_path: Path, postgres_url: str) -> None:
    await makes_one_run(tmp_path, postgres_url)


async def test_p2_is_tested(tmp_path: Path, postgres_url: str) -> None:
    with caught():
        await makes_one_run(tmp_path, postgres_url, "holds-no-delivery")


async def test_p2_the_same_key_makes_one_waiting_run(tmp_path: Path, postgres_url: str) -> None:
    """Different events with one key, on two nodes at once, while the target is paused."""
    async with TargetServer() as target:
        config = configuration(target, postgres_url, trigger={"once": {"key": "all"}})
        one, other = nodes_of(config, tmp_path, 2)
        async with running(one, other), GatewayClient(one.url) as first, GatewayClient(other.url) as second:
            await first.do("targets/sync/pause")
            replies = await send_all([sent(number) for number in range(100)], first, second)
            await first.do("targets/sync/resume")
            await first.wait_until_idle()

            assert len({run_id for reply in replies for run_id in reply.run_ids}) == 1
            assert [run["events"] for run in await first.runs()] == [100]
            assert len(target.calls) == 1
