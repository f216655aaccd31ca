"""Alerts and chains on real gateways: few words about many failures."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.sending import send_all, sent
from tests.gateway_client import GatewayClient
from tests.gateways import configuration, nodes_of, running
from tests.target_answer import Answer
from tests.target_server import TargetServer
from tests.waiting import until


def alerted(target: TargetServer, chat: TargetServer, url: str, **calls: Any) -> dict[str, Any]:
    """One webhook whose events make a run each, and a chat that is told of everything."""
    config = configuration(target, url, calls={"concurrency": 8, **calls})
    config["targets"]["chat"] = {"kind": "http", "url": f"{chat.url}/chat", "retry": {"delays": ["50ms"]}}
    return {**config, "alerts": {"ops": {"target": "chat"}}}


def told(chat: TargetServer) -> Counter[str]:
    return Counter(call.json["what"] for call in chat.calls)


@pytest.mark.parametrize("attempts", [1, 5])
async def test_x02_an_outage_of_a_target_with_500_events_is_two_messages(
    tmp_path: Path, database_url: str, attempts: int
) -> None:
    """And one more that says that it is not called meanwhile. On PostgreSQL, two nodes see the same outage."""
    async with TargetServer(Answer(status=500)) as target, TargetServer() as chat:
        calls = {
            "retry": {"attempts": attempts, "delays": ["50ms"]},
            "breaker": {"failures": 5, "pause": "1s", "max_pause": "1s"},
        }
        config = alerted(target, chat, database_url, **calls)
        nodes = nodes_of(config, tmp_path, 1 if database_url.startswith("sqlite") else 2)
        async with running(*nodes), GatewayClient(nodes[0].url) as first, GatewayClient(nodes[-1].url) as last:
            await send_all([sent(number) for number in range(500)], first, last)
            await until(lambda: seen(chat, "failing"), 1, "failing is told")
            await asyncio.sleep(2.5)
            target.answer = Answer()
            await first.wait_until_idle(seconds=60)

            assert told(chat) == {"failing": 1, "recovered": 1, "paused": 1}
            assert all(call.json["name"] in ("every", "sync") for call in chat.calls)
            states = Counter(run["state"] for run in await first.runs(target="sync"))
            assert states["succeeded"] + states["failed"] == 500
            assert (states["failed"] > 0) == (attempts == 1)


async def seen(chat: TargetServer, what: str) -> int:
    return told(chat)[what]


async def test_an_alert_whose_target_is_away_is_no_loop(tmp_path: Path) -> None:
    async with TargetServer(Answer(status=400)) as target, TargetServer(Answer(status=400)) as chat:
        [node] = nodes_of(alerted(target, chat, "sqlite:///gateway.db"), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            await send_all([sent(number) for number in range(20)], client)
            await client.wait_until_idle()
            await asyncio.sleep(1)

            assert [call.json["what"] for call in chat.calls] == ["failing"]
            assert Counter(run["trigger"] for run in await client.runs()) == {"every": 20, "alerts.ops": 1}


async def test_a_source_that_rejects_and_a_trigger_that_fails_are_told(tmp_path: Path) -> None:
    async with TargetServer() as target, TargetServer() as chat:
        config = alerted(target, chat, "sqlite:///gateway.db")
        config["triggers"]["every"]["payload"] = "{{ event.data.no_such_thing }}"
        [node] = nodes_of(config, tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            for _ in range(50):
                assert (await client.send(b"not JSON")).status == 400
            await client.send(sent(1))
            await until(lambda: seen(chat, "source_rejecting"), 1, "rejections are told")
            await until(lambda: seen(chat, "trigger_error"), 1, "errors are told")

            named = {call.json["what"]: call.json["name"] for call in chat.calls}
            assert named == {"source_rejecting": "hook", "trigger_error": "every"}
            [event] = (await client.get("events", type="gateway.source.rejecting"))["items"]
            assert event["data"]["times"] == 50
            assert [one["trigger"] for one in event["decisions"]] == ["alerts.ops"]


async def test_p7_a_run_that_is_cancelled_before_its_start_goes_on_in_its_chain(tmp_path: Path) -> None:
    async with TargetServer() as target:
        triggers = {
            "every": {"on": "hook", "target": "sync", "once": {}, "debounce": "1h"},
            "after": {
                "on": {"run": "every", "state": "cancelled"},
                "target": "sync",
                "payload": {"why": "{{ event.data.reason }}", "first": "{{ event.origin.data.id }}"},
            },
        }
        [node] = nodes_of(configuration(target, "sqlite:///gateway.db", triggers=triggers), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            [run_id] = (await client.send(sent(7))).run_ids
            await client.do(f"runs/{run_id}/cancel", reason="wrong site")
            [call] = await target.wait_for_calls(1)

            assert call.json == {"why": "cancelled by local: wrong site", "first": "event-7"}
