"""The pages about sources: each configuration works as it stands, and makes a run of what its sender sends."""

import json
import os
import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from gateway.cli import main
from gateway.config import load
from gateway.config.library import bundled
from tests.desk import Desk
from tests.docs.pages import fenced
from tests.gateways import ROOT
from tests.target_server import TargetServer

QUEUES = "amqp"  # its page is tried where there is a broker
PAGES = sorted(page for page in (ROOT / "docs" / "sources").glob("*.md") if page.stem != QUEUES)
_VARIABLE = re.compile(r"\$\{(\w+)\}")


def command(*arguments: str) -> Any:
    done = CliRunner().invoke(main, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def send(page: Path) -> list[dict[str, Any]]:
    """Serves the configuration of a page, and sends its sample, or that of its preset; gives what was decided."""
    blocks = dict(fenced(page.read_text()))
    Path("config.yaml").write_text(blocks["yaml"])
    Path("body.json").write_text(blocks.get("json", ""))
    command("reload")
    [source] = yaml.safe_load(blocks["yaml"])["sources"]
    answer = command("send", source, *(["body.json"] if "json" in blocks else []))
    return [decision for item in answer.get("items", [answer]) for decision in item.get("decisions", [])]


def test_every_preset_has_its_page() -> None:
    assert {page.stem for page in PAGES} == {*bundled().names("sources"), "webhook"}


def test_the_preset_of_ones_own_can_be_used(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "sources" / "webhook.md").read_text()
    [(file, text)] = re.findall(r"^`(presets/\S+\.yaml)`:\n\n((?: {4}.*\n)+)", page, re.MULTILINE)
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(dedent(text))
    (tmp_path / "config.yaml").write_text("presets_dir: presets\nsources: {cellar: {preset: door, secret: s}}")

    assert load(tmp_path / "config.yaml", {}).presets == {"cellar": "door"}


async def test_what_stands_on_each_page_makes_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with TargetServer() as target:
        desk = _at_desk(tmp_path, monkeypatch, target.url)
        with desk.serving("config.yaml"):
            for number, page in enumerate(PAGES, start=1):
                decided = [decision["decision"] for decision in send(page)]
                assert decided == ([] if page.stem == "slack" else ["enqueued"]), page.stem
                await target.wait_for_calls(number)
        assert len(target.calls) == len(PAGES)


def _at_desk(folder: Path, monkeypatch: pytest.MonkeyPatch, target: str) -> Desk:
    """All pages are served by one gateway in turn; the commands run here, to save the time of starting each."""
    variables = {name for page in PAGES for name in _VARIABLE.findall(page.read_text())}
    environment = dict.fromkeys(variables, "whsec_c2VjcmV0") | {"SYNC_URL": target}
    (folder / "config.yaml").write_text("{}")
    desk = Desk(folder, environment)
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)
    for name, value in {**environment, "GATEWAY_URL": desk.url}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    return desk
