"""What is done over again: stored events replayed on purpose, and requests repeated because nobody heard the answer."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson

from tests.gateway_client import GatewayClient, Reply
from tests.gateway_process import GatewayProcess
from tests.gateways import ROOT, configuration, nodes_of, running, scheduled
from tests.target_server import TargetServer

BROKEN, MENDED = "event.data.nothing", "event.data.id"
SENT = {"id": "1", "type": "sent"}


async def command(node: GatewayProcess, *arguments: str) -> Any:
    argv = [sys.executable, "-m", "gateway", "events", *arguments, "--json"]
    environment = {**os.environ, "GATEWAY_URL": node.url, "PYTHONPATH": str(ROOT)}
    done = await asyncio.to_thread(subprocess.run, argv, env=environment, capture_output=True, check=True)
    return orjson.loads(done.stdout)


async def ask(client: GatewayClient, key: str) -> Reply:
    return await client.request("POST", "/api/v1/targets/sync/run", headers={"Idempotency-Key": key})


async def test_what_a_broken_trigger_missed_is_replayed_once_it_is_mended(tmp_path: Path, database_url: str) -> None:
    async with TargetServer() as target:
        [node] = nodes_of(configuration(target, database_url, trigger={"when": BROKEN}), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            missed = (await client.send(SENT)).json
            node.config_path.write_text(node.config_path.read_text().replace(BROKEN, MENDED))
            await client.do("reload")
            replayed = await command(node, "replay", missed["event_id"])
            await client.wait_until_idle()
            shown = await command(node, "show", replayed["event_id"])
            redelivered = (await client.send(SENT)).json

            assert [made["decision"] for made in missed["decisions"]] == ["error"]
            assert [made["decision"] for made in replayed["decisions"]] == ["enqueued"]
            assert [call.json for call in target.calls] == [{"id": "1"}]
            assert shown["replay_of"] == missed["event_id"] == redelivered["event_id"]
            assert redelivered["duplicate"]


async def test_ends_of_runs_and_ticks_are_replayed_to_those_who_listen(tmp_path: Path) -> None:
    """What the schedule asked for itself is not asked for again."""
    async with TargetServer() as target:
        config = scheduled(target, "sqlite:///gateway.db", {"often": {"interval": "1s"}})
        origin = {"target": "sync", "payload": {"origin": "{{ event.origin }}"}}
        config["triggers"] |= {"chained": {"on": {"run": "every"}, **origin}, "heard": {"on": "often", **origin}}
        [node] = nodes_of(config, tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            first = (await client.send(SENT)).json["event_id"]
            await target.wait_for_calls(4)
            await client.do("schedules/often/pause")
            await client.wait_until_idle()
            before = len(target.calls)
            [end] = (await client.get("events", type="gateway.run.succeeded"))["items"]
            [tick, *_] = (await client.get("events", source="often"))["items"]
            replays = [await client.do(f"events/{event['id']}/replay") for event in (end, tick)]
            calls = (await target.wait_for_calls(before + 2))[before:]

            assert [made["trigger"] for made in tick["decisions"]] == [None, "heard"]
            assert [[made["trigger"] for made in one["decisions"]] for one in replays] == [["chained"], ["heard"]]
            assert {call.json["origin"]["id"] for call in calls} == {first, replays[1]["event_id"]}


async def test_p2_a_request_repeated_at_two_nodes_and_after_a_crash_makes_one_run(
    tmp_path: Path, postgres_url: str
) -> None:
    async with TargetServer() as target:
        one, other = nodes_of(configuration(target, postgres_url), tmp_path, 2)
        async with running(one, other), GatewayClient(one.url) as first, GatewayClient(other.url) as second:
            replies = await asyncio.gather(*(ask(client, "a") for client in [first, second] * 20))
            one.kill()
            await one.start()
            replies.append(await ask(first, "a"))
            await first.wait_until_idle()

            assert {reply.status for reply in replies} <= {200, 202}
            assert {reply.json["id"] for reply in replies} == {run["id"] for run in await first.runs()}
            assert len(await first.runs()) == 1
