"""What somebody does who has just installed it, as the README says, in an empty folder."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.gateways import ROOT
from tests.servers.child import kill_family
from tests.servers.ports import free_port


class Desk:
    """A folder with the example configuration and nothing else, and terminals to type commands into."""

    def __init__(self, folder: Path) -> None:
        self.demo_port, port = free_port(), free_port()
        self._folder = folder
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "GATEWAY__SERVER__PORT": str(port),
            "GATEWAY_URL": f"http://127.0.0.1:{port}",
            "DEMO_TARGET_URL": f"http://127.0.0.1:{self.demo_port}/sync",
        }
        shutil.copy(ROOT / "config.example.yaml", folder)

    def gateway(self, *arguments: str) -> str:
        """What a command prints that ends by itself, and well."""
        command = [sys.executable, "-m", "gateway", *arguments]
        done = subprocess.run(
            command, check=False, cwd=self._folder, env=self._environment, capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, f"gateway {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def terminal(self, *arguments: str) -> Iterator[Path]:
        """A command that goes on; gives the file of what it prints."""
        screen = self._folder / f"{arguments[0]}.txt"
        with screen.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "gateway", *arguments],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield screen
        finally:
            kill_family(process)


def wait_for(shown: Callable[[], bool], what: str, *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not shown():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_first_five_minutes(desk: Desk) -> None:
    example = ("-c", "config.example.yaml")
    desk.gateway("check", *example)
    with desk.terminal("serve", *example) as log, desk.terminal("demo-target", "--port", str(desk.demo_port)) as calls:
        wait_for(lambda: "gateway.ready" in log.read_text(), "it serves")
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
