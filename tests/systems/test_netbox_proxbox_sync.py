"""The preset `netbox-proxbox-sync` against the command of NetBox's plugin as it was observed."""

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.gateway_client import GatewayClient
from tests.gateways import ROOT
from tests.systems.contract import AT_ONCE, finish, gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANAGE = ROOT / "tests" / "systems" / "netbox_manage.py"
RECURRING = {"pk": 1, "name": "Proxbox Sync", "interval": 60, "status": "scheduled"}


@pytest.fixture(scope="module")
def netbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder."""
    folder = tmp_path_factory.mktemp("netbox")
    shutil.copy(MANAGE, folder / "manage.py")
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(netbox: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayClient]:
    def preset(**beside: Any) -> dict[str, Any]:
        given = {"python": sys.executable, "directory": str(netbox), "retry": {**AT_ONCE, "attempts": 2}}
        return {"preset": "netbox-proxbox-sync", **given, **beside}

    async with gateway(
        tmp_path_factory.mktemp("gateway"), sync=preset(), as_user=preset(user="ops"), impatient=preset(wait=0)
    ) as client:
        yield client


def be(netbox: Path, **state: Any) -> None:
    (netbox / "netbox.json").write_text(json.dumps(state))


def jobs(netbox: Path) -> list[dict[str, Any]]:
    return list(json.loads((netbox / "netbox.json").read_text())["jobs"])


async def test_it_waits_for_the_job_and_leaves_recurring_ones_alone(client: GatewayClient, netbox: Path) -> None:
    be(netbox, jobs=[RECURRING])
    run = await finish(client, "sync")

    assert (run["state"], run["output"]) == ("succeeded", {"job": 2, "nothing_to_sync": False})
    assert "Proxbox sync job (pk=2) completed." in run["attempts"][0]["log"]
    assert jobs(netbox)[0] == RECURRING


async def test_what_enqueue_once_would_do(netbox: Path) -> None:
    """Why the preset goes without: no job is found to be there already, but a recurring one is deleted."""
    be(netbox, jobs=[RECURRING])
    for _ in range(3):
        command = (sys.executable, "manage.py", "proxbox_sync", "--enqueue-once")
        process = await asyncio.create_subprocess_exec(*command, cwd=netbox, stdout=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0

    assert [job["interval"] for job in jobs(netbox)] == [None, None, None]


async def test_somebody_else_may_be_named(client: GatewayClient, netbox: Path) -> None:
    be(netbox, users=["admin", "ops"])
    run = await finish(client, "as-user")

    assert "attributed to user 'ops'" in run["attempts"][0]["log"]


@pytest.mark.parametrize(
    ("target", "state", "attempts", "says"),
    [
        ("sync", {"endpoint": False}, 1, "No FastAPIEndpoint configured"),
        ("sync", {"users": []}, 1, "No active superuser found"),
        ("as-user", {}, 1, "User 'ops' does not exist."),
        ("impatient", {"ends": None}, 1, "Timed out after 0s"),
        ("sync", {"reachable": False}, 2, "proxbox-api backend not reachable"),
        ("sync", {"ends": "errored"}, 2, "ended with status 'errored'"),
        ("sync", {"worker": False, "worker_grace": 0}, 2, "No RQ worker is consuming"),
    ],
)
async def test_failures_are_final_or_tried_again(
    client: GatewayClient, netbox: Path, *, target: str, state: dict[str, Any], attempts: int, says: str
) -> None:
    be(netbox, **state)
    run = await finish(client, target)

    assert run["state"] == "failed"
    assert [attempt["status"] for attempt in run["attempts"]] == [1] * attempts
    assert says in run["attempts"][0]["log"]


async def test_nothing_to_sync_is_a_success_that_says_so(client: GatewayClient, netbox: Path) -> None:
    be(netbox, enabled=0)
    run = await finish(client, "sync")

    assert (run["state"], run["output"]) == ("succeeded", {"job": None, "nothing_to_sync": True})
