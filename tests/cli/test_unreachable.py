"""Where no gateway is, every command that talks to one says so, and what to do."""

from pathlib import Path

import pytest

from gateway.cli import COMMANDS
from tests.cli.conftest import Run
from tests.servers.ports import free_port

[TALKING] = [section for heading, section in COMMANDS.items() if "GATEWAY_URL" in heading]
CALLS = [
    "status",
    "reload",
    "run sync",
    "runs list",
    "runs show 0199",
    "runs log 0199",
    "runs retry 0199",
    "runs cancel 0199",
    "runs retry --state failed",
    "runs cancel --target sync",
    "events list",
    "events show 0199",
    "events replay 0199",
    "explain 0199",
    "targets list",
    "targets show sync",
    "triggers list",
    "sources list",
    "schedules list",
    "schedules show nightly",
    "schedules upcoming",
    "schedules add nightly --interval 1h --target sync",
    "schedules update nightly --interval 1h --target sync",
    "schedules remove nightly",
    "schedules run nightly",
    "pause target sync",
    "resume target sync",
    "stats",
    "audit",
]


def test_every_command_is_tried() -> None:
    assert {call.split()[0] for call in CALLS} == TALKING.keys()


@pytest.mark.parametrize("call", CALLS)
def test_exit_code_4_and_a_sentence(gateway: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("GATEWAY_URL", url)
    result = gateway(*call.split())

    assert result.exit_code == 4
    assert result.stdout == ""
    assert f"No gateway answers at {url}: Connection refused.\nStart one with `gateway serve`" in result.stderr
