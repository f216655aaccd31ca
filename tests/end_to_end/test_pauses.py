"""Pauses and rates on real gateways: what one node is told holds for all, and what has waited comes without a storm."""

import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.end_to_end.sending import send_all, sent
from tests.gateway_client import GatewayClient
from tests.gateways import configuration, nodes_of, running
from tests.target_answer import Answer
from tests.target_server import Call, TargetServer
from tests.waiting import until

DOWN = Answer(status=503)
SITES = 20
PER_SECOND = 200


def most_within(calls: list[Call], seconds: float) -> int:
    """The most calls that came in any time as long as that."""
    times = sorted(call.at for call in calls)
    return max(sum(at <= other <= at + seconds for other in times[place:]) for place, at in enumerate(times))


async def test_a_trigger_that_is_paused_on_one_node_is_on_both_and_makes_one_run_of_a_key(
    tmp_path: Path, postgres_url: str
) -> None:
    async with TargetServer() as target:
        config = configuration(target, postgres_url, trigger={"once": {"until": "started"}})
        one, other = nodes_of(config, tmp_path, 2)
        async with running(one, other), GatewayClient(one.url) as first, GatewayClient(other.url) as second:
            await first.do("triggers/every/pause", reason="cut-over")
            await send_all([sent(number) for number in range(50)], first, second)
            [run] = (await second.get("runs"))["items"]
            assert run["waiting_for"] == "the trigger every to be resumed, paused by local: cut-over"
            assert [one["reason"] for one in (await second.get("status"))["pauses"]] == ["cut-over"]
            await second.do("triggers/every/resume")
            await first.wait_for(run["id"], "succeeded")

            assert len(target.calls) == 1
            assert (await first.run(run["id"]))["events"] == 50
            assert (await first.get("status"))["pauses"] == []


async def test_a_pause_ends_by_itself_though_the_node_that_was_told_is_gone(tmp_path: Path, postgres_url: str) -> None:
    async with TargetServer() as target:
        one, other = nodes_of(configuration(target, postgres_url), tmp_path, 2)
        async with running(other), GatewayClient(other.url) as second:
            async with running(one), GatewayClient(one.url) as first:
                await first.do("sources/hook/pause", **{"for": "2s"})
                paused_at = time.time()
                await send_all([sent(number) for number in range(5)], first)
            await second.wait_until_idle()

            assert len(target.calls) == 5
            assert min(call.at for call in target.calls) >= paused_at + 1.9


async def test_everything_waits_while_everything_is_paused(tmp_path: Path, database_url: str) -> None:
    async with TargetServer() as target:
        [node] = nodes_of(configuration(target, database_url), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            await client.do("pause")
            await send_all([sent(number) for number in range(5)], client)
            by_hand = await client.do("targets/sync/run")
            assert by_hand["waiting_for"] == "everything to be resumed, paused by local"
            await client.do("resume")
            await client.wait_until_idle()

            assert len(target.calls) == 6


def one_site_at_a_time(target: TargetServer, url: str) -> dict[str, Any]:
    """Each site in order, a few at once, so many a second."""
    calls = {
        "concurrency": 8,
        "per_key": {"key": "{{ payload.site }}", "ordered": True},
        "rate": f"{PER_SECOND}/s",
        "retry": {"attempts": 1000, "delays": ["20ms"]},
        "breaker": {"failures": 4, "pause": "500ms", "max_pause": "500ms"},
    }
    config = configuration(target, url, calls=calls)
    config["sources"]["hook"] |= {"split": "{{ body.sent }}", "event": {"id": "{{ item.id }}", "type": "sent"}}
    payload = {"number": "{{ event.data.number }}", "site": "{{ event.data.site }}"}
    config["triggers"]["every"]["payload"] = payload
    return config


async def test_x02_5000_runs_of_a_target_that_was_down_drain_in_order_and_without_a_storm(
    tmp_path: Path, postgres_url: str
) -> None:
    async with TargetServer(DOWN) as target:
        one, other = nodes_of(one_site_at_a_time(target, postgres_url), tmp_path, 2)
        async with running(one, other), GatewayClient(one.url) as first, GatewayClient(other.url) as second:
            for start in range(0, 5000, 1000):
                numbers = range(start, start + 1000)
                events = [{"id": f"{number}", "number": number, "site": f"{number % SITES}"} for number in numbers]
                await (first if start % 2000 else second).send({"sent": events})
            down = list(await target.wait_for_calls(8 + 4 + 4, seconds=20))
            assert most_within(down[-4:], 0.45) == 1
            target.answer = Answer()

            async def drained() -> bool:
                return len(target.answered) - len(down) >= 1500

            await until(drained, True, "a good part of them done", seconds=40)

        done = [call for call in target.calls if call not in down]
        assert target.max_running <= 8
        assert most_within(done, 1.0) <= 2 * PER_SECOND * 1.1
        by_site = defaultdict[str, list[int]](list)
        for call in target.calls:
            by_site[call.json["site"]].append(int(call.json["number"]))
        assert all(numbers == sorted(numbers) for numbers in by_site.values())
