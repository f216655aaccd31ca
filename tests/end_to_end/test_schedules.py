"""Schedules of real gateways: defined on one node, in force on all; imported; kept over a restart."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.gateway_client import GatewayClient
from tests.gateway_process import GatewayProcess
from tests.gateways import ROOT, configuration, nodes_of, running
from tests.target_server import TargetServer
from tests.waiting import until

EVERY_SECOND = {"interval": "1s", "target": "sync", "overlap": "allow"}
QUIET = 1.5  # seconds in which a schedule of every second would tick


async def ticks(client: GatewayClient, name: str = "often") -> int:
    return int((await client.get(f"schedules/{name}"))["ticks"])


async def until_it_ticks(client: GatewayClient) -> None:
    before = await ticks(client)
    await until(lambda: _at_least(ticks(client), before + 1), True, "ticks")


async def is_quiet(client: GatewayClient) -> bool:
    before = await ticks(client)
    await asyncio.sleep(QUIET)
    return await ticks(client) == before


async def put(client: GatewayClient, name: str, fields: Mapping[str, Any]) -> None:
    assert (await client.request("PUT", f"/api/v1/schedules/{name}", json=fields)).status == 200


async def test_what_is_done_to_a_schedule_on_one_node_is_in_force_on_all(tmp_path: Path, postgres_url: str) -> None:
    async with TargetServer() as target:
        nodes = nodes_of(configuration(target, postgres_url), tmp_path, 2)
        async with running(*nodes), GatewayClient(nodes[0].url) as one, GatewayClient(nodes[1].url) as other:
            created = await one.request("POST", "/api/v1/schedules", json={"name": "often", **EVERY_SECOND})
            assert created.status == 201
            await until_it_ticks(other)

            await other.do("schedules/often/pause", reason="moving")
            assert await is_quiet(one)
            await one.do("schedules/often/resume")
            await until_it_ticks(other)

            await put(other, "often", {**EVERY_SECOND, "enabled": False})
            assert await is_quiet(one)
            await put(one, "often", {**EVERY_SECOND, "payload": {"new": True}})
            await until(lambda: _has_payload(other, {"new": True}), True, "runs with the new payload")

            assert (await other.request("DELETE", "/api/v1/schedules/often")).status == 204
            await one.wait_until_idle()
            runs = await one.runs()
            await asyncio.sleep(QUIET)
            assert await one.runs() == runs
            instants = [run["scheduled_for"] for run in runs]
            assert len(set(instants)) == len(instants)


async def _at_least(seen: Awaitable[int], least: int) -> bool:
    return await seen >= least


async def _has_payload(client: GatewayClient, payload: dict[str, Any]) -> bool:
    return any(run["payload"] == payload for run in await client.runs())


async def test_an_import_that_is_repeated_changes_nothing(tmp_path: Path) -> None:
    async with TargetServer() as target:
        config = configuration(target, "sqlite:///gateway.db")
        config["schedules"] = {"mine": {"cron": "0 1 * * *", "target": "sync"}}
        [node] = nodes_of(config, tmp_path)
        wanted = {
            "mine": {"cron": "0 2 * * *", "target": "sync"},
            "monthly": {"calendar": {"months": 1, "day": 31, "time": "04:00"}, "target": "sync", "jitter": "90s"},
            "once": {"at": f"{time.gmtime().tm_year + 1}-01-15T22:00:00+01:00", "target": "sync"},
            "refused": {"cron": "0 1 * * *", "target": "nowhere"},
            "either": {"any": [{"cron": "0 6 * * mon-fri"}, {"interval": "12h"}], "target": "sync", "expires": "180m"},
        }
        file = tmp_path / "import.yaml"
        file.write_text(yaml.safe_dump({"schedules": wanted}))
        async with running(node), GatewayClient(node.url) as client:
            await until(lambda: _names(client), ["mine"], "schedules")
            first = await import_from(file, node)
            before = (await client.get("schedules"))["items"]
            second = await import_from(file, node)

            done = {"mine": "skipped", "monthly": "created", "once": "created", "refused": "refused"}
            assert first == (2, {**done, "either": "created"})
            again = {name: "unchanged" if result == "created" else result for name, result in first[1].items()}
            assert second == (2, again)
            assert (await client.get("schedules"))["items"] == before
            assert [schedule["name"] for schedule in before] == ["either", "mine", "monthly", "once"]


async def _names(client: GatewayClient) -> list[str]:
    return [schedule["name"] for schedule in (await client.get("schedules"))["items"]]


async def import_from(file: Path, node: GatewayProcess) -> tuple[int, dict[str, str]]:
    """The exit code, and what became of each schedule."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "schedules", "import", str(file)),
        env={**os.environ, "GATEWAY_URL": node.url, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    lines = [line.split("\t") for line in output.decode().splitlines()[1:]]
    return process.returncode or 0, {line[0]: line[1] for line in lines}


@pytest.mark.parametrize(
    ("change", "is_made_up_for"),
    [({"payload": {"new": True}}, True), ({"interval": "2s"}, False)],
    ids=["another payload", "another timing"],
)
async def test_a_schedule_of_the_file_that_changes_at_a_restart_goes_on_if_its_timing_stays(
    tmp_path: Path, change: dict[str, Any], is_made_up_for: bool
) -> None:
    async with TargetServer() as target:
        config = configuration(target, "sqlite:///gateway.db")
        config["schedules"] = {"often": EVERY_SECOND}
        [node] = nodes_of(config, tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            await until(lambda: _at_least(_number_of(client.runs()), 1), True, "runs")
            await node.terminate()
        written = yaml.safe_load(node.config_path.read_text())
        written["schedules"]["often"] |= change
        node.config_path.write_text(yaml.safe_dump(written))
        await asyncio.sleep(2)  # so that more than one is missed
        restarted = time.time()
        async with running(node), GatewayClient(node.url) as client:
            await until(lambda: _at_least(_number_of(_made_since(restarted, client)), 1), True, "new runs")
            first = (await _made_since(restarted, client))[-1]

            assert (first["missed"] > 0) is is_made_up_for


async def _made_since(instant: float, client: GatewayClient) -> list[dict[str, Any]]:
    runs = await client.runs(schedule="often")
    return [run for run in runs if datetime.fromisoformat(run["created_at"]).timestamp() > instant]


async def _number_of(runs: Awaitable[list[Any]]) -> int:
    return len(await runs)
