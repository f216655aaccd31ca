"""P7: every event has a decision record."""

from pathlib import Path
from typing import Any

from tests.end_to_end.sending import caught
from tests.gateway_client import GatewayClient
from tests.gateways import configuration, nodes_of, running
from tests.target_server import TargetServer


async def records_decisions(folder: Path, *defects: str) -> None:
    """Whatever becomes of an event: each trigger that listens says so, and why."""
    async with TargetServer() as target:
        to_sync = {"on": "hook", "target": "sync"}
        triggers: dict[str, dict[str, Any]] = {
            "fires": {**to_sync, "once": {"key": "fires"}},
            "merges": {**to_sync, "once": {"key": "fires"}},
            "another-type": {"on": {"source": "hook", "type": "else.*"}, "target": "sync"},
            "does-not-hold": {**to_sync, "when": "event.data.site == 'ams'"},
            "fails": {**to_sync, "payload": {"serial": "{{ event.data.serial }}"}},
            "in-the-shadow": {**to_sync, "mode": "shadow"},
        }
        config = configuration(target, "sqlite:///gateway.db", triggers=triggers)
        [node] = nodes_of(config, folder, broken=defects)
        async with running(node), GatewayClient(node.url) as client:
            await client.do("targets/sync/pause")
            reply = await client.send({"id": "1", "type": "sent", "site": "rtm"})
            event = await client.get(f"events/{reply.json['event_id']}")

            assert event["decisions"] == reply.json["decisions"]
            assert {decision["trigger"]: decision["decision"] for decision in event["decisions"]} == {
                "fires": "enqueued",
                "merges": "merged",
                "another-type": "filtered",
                "does-not-hold": "filtered",
                "fails": "error",
                "in-the-shadow": "shadow",
            }
            assert all(decision["reason"] for decision in event["decisions"] if decision["decision"] != "enqueued")
            assert event["run_ids"] == [(await client.runs())[0]["id"]]


async def test_p7_each_listening_trigger_has_its_say(tmp_path: Path) -> None:
    await records_decisions(tmp_path)


async def test_p7_is_tested(tmp_path: Path) -> None:
    with caught():
        await records_decisions(tmp_path, "filters-in-silence")
