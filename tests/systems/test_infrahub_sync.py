"""The preset `infrahub-sync` against the command as it was observed."""

import asyncio
import fcntl
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.gateway_client import GatewayClient
from tests.gateways import ROOT
from tests.systems.contract import AT_ONCE, begin, finish, gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROGRAM = str(ROOT / "tests" / "systems" / "infrahub_sync.py")
TWICE = {**AT_ONCE, "attempts": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the projects."""
    return tmp_path_factory.mktemp("projects")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayClient]:
    def preset(**beside: Any) -> Mapping[str, Any]:
        return {"preset": "infrahub-sync", "program": PROGRAM, "directory": str(folder), "retry": TWICE, **beside}

    async with gateway(
        tmp_path_factory.mktemp("infrahub-sync"),
        sync=preset(),
        branch=preset(branch="{{ payload.branch }}", token="t", env={"NETBOX_TOKEN": "t"}),
        patient=preset(retry={"delays": ["300ms"]}),
        older=preset(program="true", env={"INFRAHUB_SYNC_CACHE_DIR": str(folder / "cache")}),
        mistaken=preset(argv=[PROGRAM, "sync", "--nonsense"]),
    ) as client:
        yield client


def project(folder: Path, name: str, **behaviour: Any) -> str:
    (folder / f"{name}.json").write_text(json.dumps(behaviour))
    return name


async def test_what_a_sync_writes_of_itself_is_the_output(client: GatewayClient, folder: Path) -> None:
    run = await finish(client, "sync", project=project(folder, "changed", changes=2))

    assert run["state"] == "succeeded"
    assert run["output"].items() >= {"status": "applied", "summary": {"resources": 3, "mode": "parallel"}}.items()
    assert "Created successfully  action=create" in run["attempts"][0]["log"]


async def test_a_branch_may_come_from_the_payload(client: GatewayClient, folder: Path) -> None:
    """Nothing to do on it is a success."""
    run = await finish(client, "branch", project=project(folder, "unchanged"), branch="main")

    assert run["state"] == "succeeded"
    assert "--branch=main" in run["attempts"][0]["log"]
    assert "No difference found. Nothing to sync" in run["attempts"][0]["log"]


async def test_an_output_is_that_of_this_run_or_none(client: GatewayClient, folder: Path) -> None:
    """Not what an earlier one has left behind, where the program is so old that it leaves nothing."""
    earlier = folder / "cache" / "dcim" / "20261121T0933-d1935e02"
    earlier.mkdir(parents=True)
    (earlier / "run.json").write_text('{"status": "applied"}')
    run = await finish(client, "older", project="dcim")

    assert (run["state"], run["output"]) == ("succeeded", None)


@pytest.mark.parametrize(
    ("behaviour", "attempts", "says"),
    [
        ({"error": "Error initializing NetboxAdapter: no answer"}, 2, "ERROR | infrahub_sync.cli | Error initializing"),
        ({"traceback": "connection reset"}, 2, "RuntimeError: connection reset"),
        ({"rows_dropped": True}, 1, "Pass --allow-rowcount-drop to override"),
    ],
)
async def test_failures_are_tried_again_unless_they_would_be_the_same(
    client: GatewayClient, folder: Path, behaviour: dict[str, Any], attempts: int, says: str
) -> None:
    run = await finish(client, "sync", project=project(folder, "failing", **behaviour))

    assert run["state"] == "failed"
    assert [attempt["status"] for attempt in run["attempts"]] == [1] * attempts
    assert says in run["attempts"][0]["log"]


@pytest.mark.parametrize(
    ("target", "name", "status"), [("sync", "missing", 1), ("sync", "../missing", 1), ("mistaken", "any", 2)]
)
async def test_mistakes_are_final(client: GatewayClient, target: str, name: str, status: int) -> None:
    run = await finish(client, target, project=name)

    assert [attempt["status"] for attempt in run["attempts"]] == [status]


async def test_s16_a_project_is_no_option(client: GatewayClient) -> None:
    run = await finish(client, "sync", project="--help")

    assert "would be an option" in run["reason"]


async def test_one_run_of_a_project_at_a_time_beside_those_of_others(client: GatewayClient, folder: Path) -> None:
    """The second would be too late for the lock otherwise."""
    one, other = (project(folder, name, seconds=0.4, patience=0.1) for name in ("dcim", "ipam"))
    runs = await asyncio.gather(*(finish(client, "sync", project=name) for name in (one, one, other)))

    first, second = sorted(runs[:2], key=lambda run: str(run["started_at"]))
    assert {len(run["attempts"]) for run in runs} == {1}
    assert second["started_at"] >= first["finished_at"] > runs[2]["started_at"]


async def test_a_run_by_somebody_else_makes_it_wait_and_then_try_again(client: GatewayClient, folder: Path) -> None:
    name = project(folder, "locked", patience=0.1)
    cache = folder / ".infrahub-sync-cache" / name
    cache.mkdir(parents=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run_id = await begin(client, "patient", project=name)
        run = await client.wait_for(run_id, "retrying")
    await client.wait_for(run_id, "succeeded")

    assert "could not be acquired" in run["attempts"][0]["log"]
