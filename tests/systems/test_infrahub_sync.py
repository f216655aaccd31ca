"""The preset `infrahub-sync` against the command as it was observed."""

import asyncio
import fcntl
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.gateways import ROOT
from tests.systems.contract import AT_ONCE, begin, finish, gateway

PROGRAM = ROOT / "tests" / "systems" / "infrahub_sync.py"


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    folder = tmp_path / "projects"
    folder.mkdir()
    return folder


def project(folder: Path, name: str, **behaviour: Any) -> None:
    (folder / f"{name}.json").write_text(json.dumps(behaviour))


def preset(folder: Path, **beside: Any) -> dict[str, Any]:
    return {"preset": "infrahub-sync", "program": str(PROGRAM), "directory": str(folder), **beside}


async def test_what_a_sync_writes_of_itself_is_the_output(projects: Path, tmp_path: Path) -> None:
    project(projects, "dcim", changes=2)
    project(projects, "idle")
    async with gateway(tmp_path, sync=preset(projects, branch="main", token="t")) as client:
        changed = await finish(client, "sync", project="dcim")
        unchanged = await finish(client, "sync", project="idle")

    assert [run["state"] for run in (changed, unchanged)] == ["succeeded", "succeeded"]
    assert changed["output"].items() >= {"status": "applied", "summary": {"resources": 3, "mode": "parallel"}}.items()
    log = changed["attempts"][0]["log"]
    assert "--branch=main" in log
    assert "Created successfully  action=create" in log
    assert "No difference found. Nothing to sync" in unchanged["attempts"][0]["log"]


async def test_failures_are_tried_again_unless_they_would_be_the_same(projects: Path, tmp_path: Path) -> None:
    project(projects, "down", error="Error initializing NetboxAdapter: no answer")
    project(projects, "broken", traceback="connection reset")
    project(projects, "shrunk", rows_dropped=True)
    retry = {**AT_ONCE, "attempts": 2}
    async with gateway(
        tmp_path,
        sync=preset(projects, retry=retry),
        mistaken=preset(projects, argv=[str(PROGRAM), "sync", "--nonsense"], retry=retry),
    ) as client:
        names = ("down", "broken", "shrunk", "missing", "--help")
        runs = [finish(client, "sync", project=name) for name in names]
        down, broken, shrunk, missing, option, mistaken = await asyncio.gather(
            *runs, finish(client, "mistaken", project="x")
        )

    assert [len(run["attempts"]) for run in (down, broken, shrunk, missing)] == [2, 2, 1, 1]
    assert "ERROR | infrahub_sync.cli | Error initializing NetboxAdapter" in down["attempts"][0]["log"]
    assert "Pass --allow-rowcount-drop to override" in shrunk["attempts"][0]["log"]
    assert "Failed to load sync instance" in missing["attempts"][0]["log"]
    assert "would be an option" in option["reason"]
    assert [attempt["status"] for attempt in mistaken["attempts"]] == [2]


async def test_an_output_is_that_of_this_run_or_none(projects: Path, tmp_path: Path) -> None:
    """Those that older versions and other runs leave behind are no news."""
    project(projects, "dcim")
    old = projects / "cache" / "dcim" / "20261121T0933-d1935e02"
    old.mkdir(parents=True)
    (old / "run.json").write_text('{"status": "old"}')
    cache = {"INFRAHUB_SYNC_CACHE_DIR": str(projects / "cache")}
    async with gateway(
        tmp_path, old=preset(projects, program="true", env=cache), new=preset(projects, env=cache)
    ) as client:
        nothing = await finish(client, "old", project="dcim")
        something = await finish(client, "new", project="dcim")

    assert (nothing["state"], nothing["output"]) == ("succeeded", None)
    assert something["output"]["status"] == "applied"


async def test_one_run_of_a_project_at_a_time_side_by_side_with_others(projects: Path, tmp_path: Path) -> None:
    for name in ("dcim", "ipam"):
        project(projects, name, seconds=0.5, patience=0.1)
    async with gateway(tmp_path, sync=preset(projects, retry={"attempts": 1})) as client:
        began = time.monotonic()
        first, second, other = [await begin(client, "sync", project=name) for name in ("dcim", "dcim", "ipam")]
        runs = await asyncio.gather(*(client.wait_for(run_id, "succeeded") for run_id in (first, second, other)))

    assert time.monotonic() - began > 1
    assert runs[1]["started_at"] > runs[0]["finished_at"]
    assert runs[2]["started_at"] < runs[0]["finished_at"]


async def test_a_run_by_somebody_else_makes_it_wait_and_then_try_again(projects: Path, tmp_path: Path) -> None:
    project(projects, "dcim", patience=0.1)
    cache = projects / ".infrahub-sync-cache" / "dcim"
    cache.mkdir(parents=True)
    async with gateway(tmp_path, sync=preset(projects, retry={"delays": ["300ms"]})) as client:
        with (cache / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            run_id = await begin(client, "sync", project="dcim")
            await client.wait_for(run_id, "retrying")
        run = await client.wait_for(run_id, "succeeded")

    assert "could not be acquired" in run["attempts"][0]["log"]
