"""The preset `netbox-proxbox-sync` against the command of NetBox's plugin as it was observed."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.gateways import ROOT
from tests.systems.contract import AT_ONCE, Run, finish, gateway

FOLDER = ROOT / "tests" / "systems" / "netbox"
RECURRING = {"pk": 1, "name": "Proxbox Sync", "interval": 60, "status": "scheduled"}


def netbox(folder: Path, name: str = "netbox", **state: Any) -> Path:
    """A NetBox of its own."""
    file = folder / f"{name}.json"
    file.write_text(json.dumps(state))
    return file


def preset(file: Path, **beside: Any) -> dict[str, Any]:
    python = {"python": sys.executable, "directory": str(FOLDER)}
    return {"preset": "netbox-proxbox-sync", **python, "env": {"NETBOX": str(file)}, "retry": AT_ONCE, **beside}


def jobs(file: Path) -> list[dict[str, Any]]:
    return list(json.loads(file.read_text())["jobs"])


async def test_it_waits_for_the_job_and_leaves_recurring_ones_alone(tmp_path: Path) -> None:
    file = netbox(tmp_path, jobs=[RECURRING], users=["admin", "ops"])
    async with gateway(tmp_path, sync=preset(file, user="ops")) as client:
        run = await finish(client, "sync")

    assert (run["state"], run["output"]) == ("succeeded", {"job": 2, "nothing_to_sync": False})
    assert "attributed to user 'ops'" in run["attempts"][0]["log"]
    assert jobs(file)[0] == RECURRING


def test_what_enqueue_once_would_do(tmp_path: Path) -> None:
    """Why the preset goes without."""
    file = netbox(tmp_path, jobs=[RECURRING])
    for _ in range(3):
        command = [sys.executable, "manage.py", "proxbox_sync", "--enqueue-once"]
        subprocess.run(command, cwd=FOLDER, env={"NETBOX": str(file)}, check=True, stdout=subprocess.DEVNULL)

    assert [job["pk"] for job in jobs(file)] == [1, 2, 3]
    assert RECURRING not in jobs(file)


async def test_each_failure_is_final_or_tried_again(tmp_path: Path) -> None:
    final = {
        "without_endpoint": preset(netbox(tmp_path, "a", endpoint=False)),
        "without_users": preset(netbox(tmp_path, "b", users=[])),
        "without_user": preset(netbox(tmp_path, "c"), user="nobody"),
        "endless": preset(netbox(tmp_path, "d", ends=None), wait=0),
    }
    passing = {
        "without_backend": preset(netbox(tmp_path, "e", reachable=False)),
        "errored": preset(netbox(tmp_path, "f", ends="errored")),
        "without_worker": preset(netbox(tmp_path, "g", worker=False, worker_grace=0)),
    }
    twice = {name: {**settings, "retry": {**AT_ONCE, "attempts": 2}} for name, settings in passing.items()}
    async with gateway(tmp_path, **final, **twice) as client:

        async def of(name: str) -> Run:
            return await finish(client, name.replace("_", "-"))

        ended = dict(zip([*final, *twice], await asyncio.gather(*map(of, [*final, *twice])), strict=True))

    assert {run["state"] for run in ended.values()} == {"failed"}
    assert {name: len(run["attempts"]) for name, run in ended.items()} == {
        **dict.fromkeys(final, 1),
        **dict.fromkeys(twice, 2),
    }
    assert "ended with status 'errored'" in ended["errored"]["attempts"][0]["log"]


async def test_nothing_to_sync_is_a_success_that_says_so(tmp_path: Path) -> None:
    async with gateway(tmp_path, sync=preset(netbox(tmp_path, enabled=0))) as client:
        run = await finish(client, "sync")

    assert (run["state"], run["output"]) == ("succeeded", {"job": None, "nothing_to_sync": True})
