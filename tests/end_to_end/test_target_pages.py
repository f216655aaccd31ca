"""The pages about targets: their configurations and commands work as they stand, with the systems that they are for."""

import asyncio
import json
import os
import shlex
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from gateway.cli import main
from gateway.config.library import bundled
from tests.desk import Desk, wait_for
from tests.docs.pages import blocks
from tests.gateways import ROOT
from tests.systems import infraaudit, orchestrator
from tests.systems.infraaudit import DOCUMENTATION, PROGRAMS, InfraAudit
from tests.systems.orchestrator import Orchestrator, Workflow
from tests.systems.proxbox_api import KEY, ProxboxApi

FOLDER = ROOT / "docs" / "targets"
SYSTEMS = ROOT / "tests" / "systems"
PAGES = bundled().names("targets")
_FOLLOWED = ("VALIDATE_PRODUCTS", "PROVISION", "DRIFT_SCAN", "ANY_JOB")


def of_all_pages(language: str) -> list[str]:
    return [text for name in PAGES for text in blocks(FOLDER / f"{name}.md", language)]


def command(line: str) -> Any:
    """What a command says that ends well."""
    program, *arguments = shlex.split(line)
    assert program == "gateway"
    done = CliRunner().invoke(main, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


async def test_what_stands_on_each_page_makes_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them are served by one gateway; the commands run here, to save the time of starting each."""
    configurations = of_all_pages("yaml")
    lines = [line for text in of_all_pages("sh") for line in text.splitlines()]
    async with systems(tmp_path) as environment:
        desk = Desk(tmp_path, environment)
        (tmp_path / "pages").mkdir()
        for number, text in enumerate(configurations):
            (tmp_path / "pages" / f"{number}.yaml").write_text(text)
        (tmp_path / "config.yaml").write_text("include: [pages/*.yaml]")
        for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("GATEWAY_URL", desk.url)
        with desk.serving("config.yaml") as log:
            wait_for(lambda: "schedules.followed_file" in log.read_text(), "it knows its schedules")
            runs = [await asyncio.to_thread(command, line) for line in lines]

    assert {run["state"] for run in runs} == {"succeeded"}
    assert {run["target"] for run in runs} == {
        name for text in configurations for name in yaml.safe_load(text)["targets"]
    }


@asynccontextmanager
async def systems(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    """Those that the pages are about; gives what a gateway has to be told of them."""
    async with (
        ProxboxApi() as proxbox,
        Orchestrator() as workflows,
        InfraAudit(DOCUMENTATION) as documented,
        InfraAudit(PROGRAMS) as programmed,
    ):
        workflows.workflows["task_validate_products"] = Workflow()
        workflows.workflows["create_port"] = Workflow(fields={"product"})
        yield {
            **commands_below(folder),
            **{f"GATEWAY__TARGETS__{name}__POLL__EVERY": "20ms" for name in _FOLLOWED},
            "PROXBOX_API_URL": proxbox.url,
            "PROXBOX_API_KEY": KEY,
            "ORCHESTRATOR_URL": workflows.url,
            "ORCHESTRATOR_TOKEN": orchestrator.TOKEN,
            "INFRAAUDIT_URL": documented.url,
            "INFRAAUDIT_GO_URL": programmed.url,
            "INFRAAUDIT_TOKEN": infraaudit.TOKEN,
            "INFRAHUB_ADDRESS": "http://infrahub.example",
            **dict.fromkeys(("INFRAHUB_API_TOKEN", "NETBOX_TOKEN"), "t"),
            **dict.fromkeys(("NETBOX_WEBHOOK_SECRET", "INFRAHUB_WEBHOOK_SECRET"), "s"),
        }


def commands_below(folder: Path) -> dict[str, str]:
    """Two projects to synchronise, and a NetBox."""
    projects, netbox = folder / "projects", folder / "netbox"
    projects.mkdir()
    netbox.mkdir()
    for name in ("dcim", "ipam"):
        (projects / f"{name}.json").write_text("{}")
    shutil.copy(SYSTEMS / "netbox_manage.py", netbox / "manage.py")
    (netbox / "netbox.json").write_text("{}")
    return {
        "SYNC_DIRECTORY": str(projects),
        "INFRAHUB_SYNC": str(SYSTEMS / "infrahub_sync.py"),
        "NETBOX_DIRECTORY": str(netbox),
        "NETBOX_PYTHON": sys.executable,
    }
