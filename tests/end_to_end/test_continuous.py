"""Continuous schedules: the next run starts when the last one has ended, whatever happens."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from tests.gateway_client import GatewayClient
from tests.gateways import LEASE, Settings, nodes_of, running, scheduled
from tests.target_answer import Answer
from tests.target_server import Call, TargetServer

TAKES = 0.3
SOON = 0.5  # seconds; a tick that had to be looked for would take up to one
PAUSE = 1.0
BACKOFF = 0.8
SCHEDULES: Mapping[str, Settings] = {
    "busy": {"continuous": True},
    "pausing": {"continuous": True, "pause": f"{PAUSE}s"},
    "failing": {"continuous": True, "target": "broken"},
}


def name(call: Call) -> str:
    return str(call.json["schedule"])


def gaps(target: TargetServer, schedule: str) -> list[float]:
    """Seconds from the beginning of one call to that of the next."""
    return [later.at - earlier.at for earlier, later in pairwise(c for c in target.calls if name(c) == schedule)]


async def test_back_to_back_with_pauses_and_with_backoff(tmp_path: Path) -> None:
    def answer(call: Call) -> Answer:
        return Answer(status=400 if name(call) == "failing" else 200, delay=TAKES)

    async with TargetServer(answer, key=name) as target:
        config = scheduled(target, f"sqlite:///{tmp_path}/gateway.db", SCHEDULES)
        breaker = {"pause": f"{BACKOFF}s", "max_pause": f"{2 * BACKOFF}s"}
        config["targets"]["broken"] = {**config["targets"]["sync"], "breaker": breaker}
        [node] = nodes_of(config, tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            await target.wait_for_calls(2)
            await asyncio.sleep(6)
            failed = await client.runs(schedule="failing")

    assert max(target.max_running_by_key.values()) == 1
    assert sorted(gaps(target, "busy"))[len(gaps(target, "busy")) // 2] < TAKES + SOON
    assert all(PAUSE <= gap - TAKES < PAUSE + SOON for gap in gaps(target, "pausing"))
    first, *others = (gap - TAKES for gap in gaps(target, "failing"))
    assert BACKOFF <= first < BACKOFF + SOON
    assert all(2 * BACKOFF <= gap < 2 * BACKOFF + SOON for gap in others)
    assert {run["state"] for run in failed[1:]} == {"failed"}


async def test_killed_in_the_middle_then_paused_and_resumed(tmp_path: Path, database_url: str) -> None:
    async with TargetServer(Answer(delay=TAKES)) as target:
        [node] = nodes_of(scheduled(target, database_url, {"busy": {"continuous": True}}), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            killed_in = (await target.wait_for_calls(3))[2]
            node.kill()
            await node.start()
            await target.wait_for_calls(6, seconds=LEASE + 5)
            await client.do("schedules/busy/pause")
            await client.wait_until_idle()
            before = len(target.calls)
            await asyncio.sleep(3 * TAKES)
            assert len(target.calls) == before

            await client.do("schedules/busy/resume")
            await target.wait_for_calls(before + 3)
            runs = (await client.runs())[::-1]

    calls = Counter(call.idempotency_key for call in target.calls)
    assert [key for key, count in calls.items() if count > 1] == [killed_in.idempotency_key]
    assert target.max_running == 1
    assert all(later["created_at"] >= earlier["finished_at"] for earlier, later in pairwise(runs))
