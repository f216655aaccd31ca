"""Two nodes on one PostgreSQL are one gateway to whoever asks, whichever of them answers."""

import asyncio
import itertools
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.gateway_client import GatewayClient
from tests.gateway_process import GatewayProcess
from tests.gateways import ROOT, configuration, nodes_of, running
from tests.target_server import TargetServer
from tests.waiting import until

SECONDS = 30

Seen = tuple[str, dict[str, Any]]
"""The id of a message, and what it says."""


@pytest.fixture
async def target() -> AsyncIterator[TargetServer]:
    async with TargetServer() as server:
        yield server


class Both:
    """A client that asks one node after the other, and never the same twice in a row."""

    def __init__(self, clients: Sequence[GatewayClient]) -> None:
        self._turns = itertools.cycle(clients)

    def __getattr__(self, name: str) -> Any:
        return getattr(next(self._turns), name)


async def follow(node: GatewayProcess, last_id: str | None, seen: list[Seen]) -> AsyncGenerator[str, None]:
    """Notes what a stream tells, and gives the id of each event."""
    async with GatewayClient(node.url, seconds=SECONDS) as client:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        async with client._session.get("/api/v1/stream", headers=headers) as response:
            place = ""
            async for line in response.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "id":
                    place = value
                elif name == "data":
                    seen.append((place, orjson.loads(value)))
                elif not name and place:
                    yield place
                    place = ""


async def test_a_stream_goes_on_at_the_other_node_without_loss_or_repetition(
    target: TargetServer, postgres_url: str, tmp_path: Path
) -> None:
    """Events keep coming in at both nodes while the reader changes between them after each few."""
    nodes = nodes_of(configuration(target, postgres_url), tmp_path, 2)
    async with running(*nodes), GatewayClient(nodes[0].url) as one, GatewayClient(nodes[1].url) as other:
        begun = asyncio.Event()
        sent: list[str] = []

        async def send() -> None:
            await begun.wait()
            for number in range(150):
                reply = await (one, other)[number % 2].send({"id": f"e{number}", "type": "sent"})
                sent.append(reply.json["event_id"])

        sending = asyncio.create_task(send())
        seen: list[Seen] = []
        last_id: str | None = None
        async with asyncio.timeout(SECONDS):
            for turn in itertools.count():
                told = follow(nodes[turn % 2], last_id, seen)
                count = 0
                async for place in told:
                    last_id = place
                    begun.set()
                    count += 1
                    if count >= 40 or finished(seen, 150):
                        break
                await told.aclose()
                if finished(seen, 150):
                    break
        await sending

    events = Counter(item["id"] for _, item in seen if item["kind"] == "event")
    assert events == Counter(sent)
    assert len(seen) == len(set(map(str, seen)))
    places = [place for place, _ in seen]
    assert places == sorted(places, key=lambda place: (int(place.partition(".")[0]), place.partition(".")[2]))
    assert turn >= 2


def finished(seen: list[Seen], count: int) -> bool:
    return len({item["id"] for _, item in seen if item["kind"] == "run" and item["state"] == "succeeded"}) == count


async def test_whatever_is_done_at_one_node_is_so_at_the_other(
    target: TargetServer, postgres_url: str, tmp_path: Path
) -> None:
    nodes = nodes_of(configuration(target, postgres_url), tmp_path, 2)
    async with running(*nodes), GatewayClient(nodes[0].url) as one, GatewayClient(nodes[1].url) as other:
        both = Both([one, other])
        await both.do("targets/sync/pause", reason="maintenance")
        assert (await both.get("targets/sync"))["paused"]["reason"] == "maintenance"
        replies = [await both.send({"id": f"e{number}", "type": "sent"}) for number in range(7)]
        again = await both.send({"id": "e6", "type": "sent"})
        done = await both.do("runs/cancel", target="sync", max=3)
        listed = [await both.get("runs") for _ in range(2)]
        await both.do("runs/retry", state="cancelled")
        await both.do("targets/sync/resume")
        await both.wait_until_idle()

        assert again.json["duplicate"]
        assert done["ids"] == [reply.run_ids[0] for reply in replies[:3]]
        assert [run["id"] for run in listed[0]["items"]] == [run["id"] for run in listed[1]["items"]]
        for path in ("runs", "events", "audit", "triggers", "targets", "schedules"):
            assert await one.get(path) == await other.get(path)
        stats, same = await one.get("stats"), await other.get("stats")
        assert stats | {"until": None} == same | {"until": None}
        wanted = {"events": 7, "redelivered": 1, "runs": 10, "cancelled": 3, "succeeded": 7}
        assert {name: stats["totals"][name] for name in wanted} == wanted
        acts = [(act["action"], act["count"]) for act in (await both.get("audit"))["items"]]
        assert acts == [("resume", 1), ("retry", 3), ("cancel", 3), ("pause", 1)]


async def test_the_command_line_sees_one_gateway(target: TargetServer, postgres_url: str, tmp_path: Path) -> None:
    nodes = nodes_of(configuration(target, postgres_url), tmp_path, 2)
    async with running(*nodes):
        turns = itertools.cycle(nodes)

        async def gateway(*arguments: str) -> Any:
            argv = [sys.executable, "-m", "gateway", *arguments, "--json"]
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "GATEWAY_URL": next(turns).url}
            done = await asyncio.to_thread(
                subprocess.run, argv, env=environment, capture_output=True, check=True, timeout=SECONDS
            )
            return orjson.loads(done.stdout)

        run = await gateway("run", "sync", "--reason", "by hand")

        async def state() -> str:
            return str((await gateway("runs", "show", run["id"]))["state"])

        await until(state, "succeeded", "the run")
        [act] = (await gateway("audit"))["items"]
        status = [await gateway("status") for _ in range(2)]
        stats = [await gateway("stats") for _ in range(2)]

    assert (act["action"], act["name"], act["reason"]) == ("run", "sync", "by hand")
    assert [len(one["nodes"]) for one in status] == [2, 2]
    assert status[0]["leader"]["node_id"] == status[1]["leader"]["node_id"]
    assert status[0]["node"]["id"] != status[1]["node"]["id"]
    assert [one["totals"]["succeeded"] for one in stats] == [1, 1]
