"""The page for those who come from another scheduler: all that stands on it works."""

import asyncio
import json
import shlex
import stat
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.desk import Desk
from tests.docs.pages import fenced
from tests.gateways import ROOT
from tests.target_answer import Answer
from tests.target_server import Call, TargetServer
from tests.waiting import until

PAGE = ROOT / "docs" / "coming-from.md"
EVERY_SECOND = "* * * * * *"


@dataclass(frozen=True, slots=True)
class Section:
    """What stands below a heading: files by name, requests, and commands."""

    files: Mapping[str, str]
    requests: tuple[tuple[str, str, str], ...]
    commands: tuple[str, ...]

    @property
    def configurations(self) -> list[str]:
        """The files that a gateway is served with."""
        return [name for name, text in self.files.items() if name != "initial.yaml" and "schedules:" in text]


def _section(text: str) -> Section:
    blocks = fenced(text)
    files = {block.partition("\n")[0].removeprefix("# "): block for kind, block in blocks if kind == "yaml"}
    requests = [_request(block) for kind, block in blocks if kind == "http"]
    commands = [line for kind, block in blocks if kind == "sh" for line in block.splitlines()]
    return Section(files, tuple(requests), tuple(commands))


def _request(block: str) -> tuple[str, str, str]:
    head, _, body = block.partition("\n\n")
    method, path = head.split()
    return method, path, body


SIDE_CAR, ORCHESTRATOR, BUILT_IN, COMMANDS = (_section(part) for part in PAGE.read_text().split("\n## ")[1:])


@pytest.fixture
async def target() -> AsyncIterator[TargetServer]:
    """What is called there is done at once."""
    async with TargetServer(_done) as server:
        yield server


def _done(call: Call) -> Answer:
    if call.path == "/sync/active":
        return Answer.of_json({"active": False})
    if call.path.startswith("/full-update/stream"):
        headers = {"Content-Type": "text/event-stream"}
        return Answer(headers=headers, body=b'event: complete\ndata: {"ok": true}\n\n')
    if call.path.startswith("/api/processes/task_"):
        return Answer.of_json({"id": "0b5e6f3a"}, status=201)
    return Answer.of_json({"id": "0b5e6f3a", "last_status": "completed", "steps": []})


def at_desk(section: Section, folder: Path, **environment: str) -> Desk:
    for name, text in section.files.items():
        (folder / name).write_text(text)
    return Desk(folder, environment)


async def command(desk: Desk, line: str) -> str:
    program, *arguments = shlex.split(line)
    assert program == "gateway"
    return await asyncio.to_thread(desk.gateway, *arguments)


async def runs(desk: Desk) -> list[dict[str, Any]]:
    listed = json.loads(await command(desk, "gateway runs list --json"))
    items: list[dict[str, Any]] = listed["items"]
    return items


def test_the_page_has_what_is_tried_here() -> None:
    assert SIDE_CAR.configurations == ["interval.yaml", "continuous.yaml", "cron.yaml", "off.yaml"]
    assert len(ORCHESTRATOR.requests) >= 7
    assert BUILT_IN.configurations == ["infraaudit.yaml"]
    assert COMMANDS.configurations == ["infrahub-sync.yaml"]


@pytest.mark.parametrize("name", ["interval.yaml", "continuous.yaml", "cron.yaml"])
async def test_a_mode_of_the_side_car(name: str, target: TargetServer, tmp_path: Path) -> None:
    desk = at_desk(
        SIDE_CAR,
        tmp_path,
        PROXBOX_API_URL=target.url,
        PROXBOX_API_KEY="k3y",
        PROXBOX_INTERVAL="1s",
        PROXBOX_CRON=EVERY_SECOND,
    )
    with desk.serving(name):
        await target.wait_for_calls(6)

    assert {call.path for call in target.calls} == {"/sync/active", "/full-update/stream"}
    assert {call.headers["X-Proxbox-API-Key"] for call in target.calls} == {"k3y"}
    assert target.max_running == 1


async def test_the_side_car_that_is_off(target: TargetServer, tmp_path: Path) -> None:
    desk = at_desk(SIDE_CAR, tmp_path, PROXBOX_API_URL=target.url, PROXBOX_API_KEY="k3y")
    with desk.serving("off.yaml"):
        shown = json.loads(await command(desk, "gateway schedules show full-update --json"))

    assert (shown["enabled"], shown["next_due"]) == (False, None)


async def test_the_side_cars_backoff(target: TargetServer, tmp_path: Path) -> None:
    target.answer = Answer(status=500)
    desk = at_desk(SIDE_CAR, tmp_path, PROXBOX_API_URL=target.url, PROXBOX_API_KEY="k3y")
    with desk.serving("continuous.yaml"):
        await target.wait_for_calls(1)
        await until(lambda: _count(desk), 2, "runs")
        waiting, failed = await runs(desk)

    assert (failed["state"], waiting["state"]) == ("failed", "queued")
    assert _seconds(waiting["due_at"]) - _seconds(failed["finished_at"]) == pytest.approx(30, abs=1)


async def _count(desk: Desk) -> int:
    return len(await runs(desk))


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def test_the_orchestrators_schedule_api(target: TargetServer, tmp_path: Path) -> None:
    desk = at_desk(ORCHESTRATOR, tmp_path, ORCHESTRATOR_URL=target.url)
    with desk.serving("orchestrator.yaml"):
        async with aiohttp.ClientSession(desk.url) as session:
            for method, path, body in ORCHESTRATOR.requests:
                async with session.request(method, path, json=json.loads(body) if body else None) as answer:
                    assert answer.ok, (method, path, await answer.text())
        await target.wait_for_calls(1)
        for line in ORCHESTRATOR.commands:
            await command(desk, line)
        listed = json.loads(await command(desk, "gateway schedules list --json"))

    started = [call.path for call in target.calls if call.method == "POST"]
    assert started[0].startswith("/api/processes/task_validate_products?reporter=")
    assert {one["name"] for one in listed["items"]} == {
        "nightly-product-validation",
        "either",
        "both",
        "resume-workflows",
        "clean-up-tasks",
        "validate-subscriptions",
    }


async def test_the_scheduler_built_into_the_application(target: TargetServer, tmp_path: Path) -> None:
    overrides = {"GATEWAY__SCHEDULES__COST_SYNC__CRON": EVERY_SECOND}
    desk = at_desk(BUILT_IN, tmp_path, INFRAAUDIT_URL=target.url, RESOURCE_SYNC_SCHEDULE=EVERY_SECOND, **overrides)
    with desk.serving("infraaudit.yaml"):
        shown = [await command(desk, line) for line in BUILT_IN.commands]
        await until(lambda: _called(target), {"resource-sync", "cost-sync", "drift-detection"}, "jobs")

    assert "succeeded" in shown[0]
    assert "drift-detection" in shown[1]


async def _called(target: TargetServer) -> set[str]:
    return {call.path.split("/")[-2] for call in target.calls}


SYNC = """#!/bin/sh
# Stands in for infrahub-sync: fails the first time, and says when it is run twice at a time.
mkdir "$6/$4.lock" || { echo "two at a time"; echo "$4" >> "$6/overlaps"; exit 9; }
echo "$INFRAHUB_API_TOKEN $*" >> "$6/calls"
sleep 1.2
rmdir "$6/$4.lock"
test -e "$6/tried" || { touch "$6/tried"; echo "ERROR | infrahub_sync | no route"; exit 3; }
"""


async def test_scheduled_commands(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "infrahub-sync"
    program.parent.mkdir()
    program.write_text(SYNC.replace("$6", "$5").replace("$4", "$3"))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    overrides = {"GATEWAY__TARGETS__INVENTORY_SYNC__RETRY__BASE": "0s"}
    desk = at_desk(
        COMMANDS,
        tmp_path,
        PATH=f"{program.parent}:/usr/bin:/bin",
        SYNC_DIRECTORY=str(tmp_path),
        INFRAHUB_API_TOKEN="t0k3n",
        DCIM_CRON=EVERY_SECOND,
        IPAM_CRON=EVERY_SECOND,
        **overrides,
    )
    with desk.serving("infrahub-sync.yaml"):
        for line in COMMANDS.commands:
            await command(desk, line)
        ended = [run for run in await runs(desk) if run["state"] == "succeeded"]

    assert ended
    assert not (tmp_path / "overlaps").exists()
    assert "t0k3n sync --name dcim --directory" in (tmp_path / "calls").read_text()
