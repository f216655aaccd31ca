"""A target that a window holds back: requests queue and merge, and go out as one when it closes."""

from pathlib import Path

from tests.gateway_client import GatewayClient
from tests.gateways import configuration, nodes_of, running
from tests.target_server import TargetServer


async def test_a_window_holds_a_target_and_what_came_meanwhile_is_merged(tmp_path: Path) -> None:
    async with TargetServer() as target:
        config = configuration(target, "sqlite:///gateway.db", calls={"hold": "always"}, trigger={"once": {}})
        config["windows"] = {"always": {"cron": "* * * * *", "for": "2m"}}
        [node] = nodes_of(config, tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            replies = [await client.send({"id": str(number), "type": "sent"}) for number in range(3)]
            run = await client.run(replies[0].run_ids[0])

            assert (run["state"], run["events"]) == ("queued", 3)
            assert target.calls == []
        node.config_path.write_text(node.config_path.read_text().replace("2m", "1ms"))
        async with running(node), GatewayClient(node.url) as client:
            await client.wait_until_idle()

            assert [run["state"] for run in await client.runs()] == ["succeeded"]
            assert len(target.calls) == 1
