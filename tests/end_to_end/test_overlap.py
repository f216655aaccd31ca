"""What schedules do about runs that are not over, or should not begin: with real gateways and slow targets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.gateway_client import GatewayClient
from tests.gateways import Settings, nodes_of, running, scheduled
from tests.target_answer import Answer
from tests.target_server import Call, TargetServer
from tests.waiting import until

OVERLAPS = {"queue": "queue", "skip": "skip", "allow": "allow", "cancel": "cancel_running"}
SLOW = 2.5


def name(call: Call) -> str:
    return str(call.json["schedule"])


def each_with_its_target(target: TargetServer, url: str, schedules: Mapping[str, Settings]) -> dict[str, Any]:
    config = scheduled(target, url, {key: {**fields, "target": key} for key, fields in schedules.items()})
    config["targets"] |= {key: {"kind": "http", "url": f"{target.url}/{key}", "concurrency": 8} for key in schedules}
    return config


async def test_x07_overlapping_runs(tmp_path: Path) -> None:
    """Ticks each second, runs of two and a half."""
    async with TargetServer(Answer(delay=SLOW), key=name) as target:
        schedules = {key: {"interval": "1s", "overlap": overlap} for key, overlap in OVERLAPS.items()}
        [node] = nodes_of(each_with_its_target(target, f"sqlite:///{tmp_path}/gateway.db", schedules), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            await target.wait_for_calls(16, seconds=30)
            for key in OVERLAPS:
                await client.do(f"schedules/{key}/pause")
            await client.wait_until_idle()
            runs = {key: (await client.runs(schedule=key))[::-1] for key in OVERLAPS}
            skipped = {key: (await client.get(f"schedules/{key}"))["skipped"] for key in OVERLAPS}
        overlapping = target.max_running_by_key

    done = [run for key in ("queue", "skip", "allow") for run in runs[key]]
    assert {run["state"] for run in done} == {"succeeded"}
    assert overlapping["queue"] == overlapping["skip"] == overlapping["cancel"] == 1 < overlapping["allow"]

    assert runs["queue"][1]["events"] > 1  # what waits takes up the ticks that follow
    assert {run["events"] for run in runs["skip"] + runs["allow"]} == {1}

    assert [key for key in OVERLAPS if skipped[key]] == ["skip"]
    *_, first = skipped["skip"]
    assert (first["reason"], first["count"]) == (f"run {runs['skip'][0]['id']} is not over", 2)

    *cancelled, last = runs["cancel"]
    assert last["state"] == "succeeded"
    assert {(run["state"], run["reason"]) for run in cancelled} == {("cancelled", "cancel is due again")}


async def test_runs_that_are_not_wanted_any_more(tmp_path: Path) -> None:
    """Fresh, expired, in a window of the schedule, and held back and merged in one of the target."""
    schedules = {
        "fresh": {"interval": "1s", "fresh_for": "1h"},
        "expiring": {"interval": "1s", "expires": "2s", "overlap": "allow"},
        "barred": {"interval": "1s", "not_during": "always"},
        "held": {"interval": "1s"},
    }
    async with TargetServer() as target:
        config = each_with_its_target(target, f"sqlite:///{tmp_path}/gateway.db", schedules)
        config["windows"] = {"always": {"cron": "* * * * *", "for": "2m"}}
        for held in ("expiring", "held"):
            config["targets"][held]["hold"] = "always"
        [node] = nodes_of(config, tmp_path)
        async with running(node), GatewayClient(node.url) as client:

            async def fresh() -> bool:
                return len(await client.runs(schedule="fresh")) > 3

            await until(fresh, True, "ticks")
            runs = {key: (await client.runs(schedule=key))[::-1] for key in schedules}
            barred = await client.get("schedules/barred")

            assert {name(call) for call in target.calls} == {"fresh"}
            await client.do("schedules/held/pause")
            node.config_path.write_text(node.config_path.read_text().replace("2m", "1ms"))
            await client.do("reload")
            await client.wait_for(runs["held"][0]["id"], "succeeded")

    first, *others, _ = runs["fresh"]
    assert first["state"] == "succeeded"
    assert {(run["state"], run["reason"]) for run in others} == {
        ("cancelled", "fresh: a run of the same key that started within fresh_for has succeeded")
    }
    oldest = runs["expiring"][0]
    assert (oldest["state"], oldest["reason"]) == ("cancelled", "expired: it was not started in time")
    assert runs["barred"] == []
    [skip] = barred["skipped"]
    assert (skip["reason"], skip["count"] > 2) == ("not during always", True)
    assert len(runs["held"]) == 1 < runs["held"][0]["events"]
