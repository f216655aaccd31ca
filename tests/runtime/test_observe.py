"""What a node counts of its own life, as it is seen from outside."""

from pathlib import Path

from tests.end_to_end.test_reload import reload, rewritten
from tests.gateway_client import GatewayClient
from tests.gateways import nodes_of, running, scheduled
from tests.metrics import Scraped
from tests.target_answer import Answer
from tests.target_server import TargetServer
from tests.waiting import until


async def scraped(client: GatewayClient) -> Scraped:
    reply = await client.request("GET", "/metrics")
    assert reply.status == 200
    return Scraped.read(reply.body.decode())


async def test_one_life_of_a_node(tmp_path: Path) -> None:
    """Ticks, their runs with a failed call, commits, and what becomes of it all when the target is removed."""
    async with TargetServer() as target:
        target.script += [Answer(status=500)]
        settings = scheduled(target, "sqlite:///gateway.db", {"often": {"interval": "1s"}})
        settings["targets"]["sync"]["retry"] = {"base": "10ms"}
        [node] = nodes_of(settings, tmp_path)
        async with running(node), GatewayClient(node.url) as client:

            async def has_lived() -> bool:
                now = await scraped(client)
                states = [now.get("runs_total", target="sync", state=state) for state in ("retrying", "succeeded")]
                return all([*states, now.get("event_loop_lag_seconds_count")])

            await until(has_lived, True, "a call that failed, one that did not, and a look at the clock")
            now = await scraped(client)
            with rewritten(node) as config:
                config["targets"] = {"another": config["targets"]["sync"]}
                config["schedules"] = {}
                config["triggers"]["every"]["target"] = "another"
            await reload(client)
            after = await scraped(client)

    assert now.get("events_total", source="often") == now.get("decisions_total", source="often", decision="enqueued")
    assert (now.get("attempt_duration_seconds_count", target="sync") or 0) >= 2
    assert (now.get("commit_batch_size_count") or 0) > 3
    assert now.get("leader") == 1
    assert now.get("process_start_time_seconds")
    assert after.get("runs_total", target="sync", state="succeeded") is None
    assert after.get("events_total", source="often") is None
