"""The pages about the kinds of targets: what they configure works as it stands, and what they say of its runs is so."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config import load
from gateway.targets import KINDS
from tests.desk import Desk
from tests.docs.pages import fenced
from tests.gateways import ROOT
from tests.target_answer import Answer
from tests.target_server import TargetServer
from tests.targets.jobs import Jobs

PAGES = {kind: (ROOT / "docs" / "targets" / f"{kind}.md").read_text() for kind in KINDS}
_RUN = re.compile(r"`gateway (run \S+) --payload '(.*?)' --wait`")


def blocks(page: str, language: str) -> list[str]:
    return [text for found, text in fenced(PAGES[page]) if found == language]


def targets_of(page: str) -> dict[str, Any]:
    return {name: target for text in blocks(page, "yaml") for name, target in yaml.safe_load(text)["targets"].items()}


@pytest.fixture
async def server() -> AsyncIterator[TargetServer]:
    """Answers as the pages say."""
    jobs = Jobs(course=["done"])
    [stream], [reply] = blocks("sse", "text"), blocks("http", "json")
    answers = {
        "/sync/ams/stream": Answer(headers={"Content-Type": "text/event-stream"}, body=stream.encode()),
        "/sites/ams/sync": Answer(headers={"Content-Type": "application/json"}, body=reply.encode()),
    }
    async with TargetServer(lambda call: answers.get(call.path) or jobs.answer(call)) as server:
        yield server


@pytest.fixture
def desk(tmp_path: Path, server: TargetServer) -> Desk:
    """With the targets of all pages, each under the name of its page and its own, and what their commands need."""
    targets = {f"{page}-{name}": target for page in PAGES for name, target in targets_of(page).items()}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"targets": targets}))
    [script] = blocks("command", "sh")
    (tmp_path / "sync.sh").write_text(script)
    (tmp_path / "sync.sh").chmod(0o755)
    return Desk(tmp_path, {"SYNC_URL": server.url})


@pytest.mark.parametrize("page", PAGES)
def test_what_stands_on_a_page_is_sound(page: str, tmp_path: Path) -> None:
    for text in blocks(page, "yaml"):
        (tmp_path / "config.yaml").write_text(text)
        targets = load(tmp_path / "config.yaml", {}).config.targets

        assert {target.kind for target in targets.values()} == {page}


async def test_what_the_pages_say_of_their_runs_is_so(desk: Desk) -> None:
    with desk.serving("config.yaml"):
        runs = dict(await asyncio.gather(*(_run(desk, page) for page in PAGES)))
        job = await _told(desk, "run", "http-validation")

    assert {page: run["state"] for page, run in runs.items()} == dict.fromkeys(PAGES, "succeeded")
    for page, run in runs.items():
        assert run["output"] == {"devices": 40}, page
    assert runs["sse"]["reason"] == "succeeded with warnings: sw-7 has no serial number"
    assert runs["sse"]["reason"] in PAGES["sse"]
    assert 'step: {"message": "devices"' in runs["sse"]["attempts"][0]["log"]
    assert 'reading ams of {"site":"ams"}' in runs["command"]["attempts"][0]["log"]
    assert (job["state"], job["output"]) == ("succeeded", {"job": "job-1"})


async def _run(desk: Desk, page: str) -> tuple[str, Any]:
    [(command, payload)] = _RUN.findall(PAGES[page])
    return page, await _told(desk, *command.replace(" ", f" {page}-").split(), "--payload", payload)


async def _told(desk: Desk, *command: str) -> Any:
    """What is known of a run, once a command has waited for its end."""
    run = json.loads(await asyncio.to_thread(desk.gateway, *command, "--wait", "--json"))
    return json.loads(await asyncio.to_thread(desk.gateway, "runs", "show", run["id"], "--json"))
