"""What somebody does who has just installed it, as the README says, in an empty folder."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.desk import Desk, wait_for
from tests.gateways import ROOT
from tests.servers.ports import free_port

DEMO_PORT = free_port()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """With the example configuration and nothing else."""
    shutil.copy(ROOT / "config.example.yaml", tmp_path)
    return Desk(tmp_path, {"DEMO_TARGET_URL": f"http://127.0.0.1:{DEMO_PORT}/sync"})


def test_the_first_five_minutes(desk: Desk) -> None:
    example = ("-c", "config.example.yaml")
    desk.gateway("check", *example)
    with desk.serving("config.example.yaml"), desk.terminal("demo-target", "--port", str(DEMO_PORT)) as calls:
        wait_for(lambda: "Waiting for calls" in calls.read_text(), "the demo target listens")

        first = desk.gateway("send", "netbox", *example, "--keep")
        again = desk.gateway("send", "netbox", *example, "--keep")
        assert "inventory-changed" in first
        assert "duplicate" in again

        wait_for(lambda: "200" in calls.read_text(), "the demo target is called")
        [run_id] = re.findall(r"run (\S+)", calls.read_text())
        wait_for(lambda: _state(desk, run_id) == "succeeded", "the run has succeeded")
        assert "inventory-changed" in desk.gateway("runs", "list")
        assert "netbox" in desk.gateway("events", "list")
        assert "demo" in desk.gateway("status")


def _state(desk: Desk, run_id: str) -> str:
    return str(json.loads(desk.gateway("runs", "show", run_id, "--json"))["state"])


def test_a_mistake_is_named_with_its_place(desk: Desk, tmp_path: Path) -> None:
    example = tmp_path / "config.example.yaml"
    wrong = example.read_text().replace("retry: {attempts: 5", "retry: {atempts: 5")
    (tmp_path / "wrong.yaml").write_text(wrong)
    line = next(number for number, text in enumerate(wrong.splitlines(), 1) if "atempts" in text)

    with pytest.raises(AssertionError, match=rf"wrong.yaml:{line}:.*atempts(?s:.*)attempts"):
        desk.gateway("check", "-c", "wrong.yaml")
