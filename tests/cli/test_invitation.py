"""What a gateway that has just been started asks to try."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.cli.invitation import invitation
from gateway.config import load


@pytest.fixture(autouse=True)
def _started_as_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["gateway"])


@pytest.mark.parametrize(
    ("program", "expected"),
    [(".venv/bin/gateway", ".venv/bin/gateway"), ("/opt/gateway/__main__.py", "python -m gateway")],
)
def test_in_an_environment_that_is_not_activated_the_line_can_be_copied(
    config: Path, monkeypatch: pytest.MonkeyPatch, program: str, expected: str
) -> None:
    monkeypatch.setattr("sys.argv", [program, "serve"])
    monkeypatch.setenv("PATH", "/nowhere")

    assert invitation(load(config, {}), Path("config.yaml"))[0] == f"{expected} send netbox"


def test_the_first_source_with_a_sample_is_invited(config: Path) -> None:
    send, curl = invitation(load(config, {}), Path("config.yaml"))

    assert send == "gateway send netbox"
    assert curl.startswith("curl -X POST ")
    assert "http://127.0.0.1:9/hooks/netbox" in curl
    assert "a-netbox-secret" not in curl


def test_another_file_is_named(config: Path) -> None:
    send, _ = invitation(load(config, {}), Path("my config.yaml"))

    assert send == "gateway send netbox -c 'my config.yaml'"


def test_a_secret_is_not_shown(config: Path) -> None:
    """A token is sent as it is, so there is no curl line for it."""
    loaded = replace(load(config, {}), presets={"by-token": "netbox"})

    assert invitation(loaded, Path("config.yaml")) == ["gateway send by-token"]


@pytest.mark.parametrize("text", ["", "sources: {a: {kind: webhook, verify: {scheme: none}}}"])
def test_without_a_sample_there_is_no_invitation(config: Path, text: str) -> None:
    config.write_text(text or "{}")

    assert invitation(load(config, {}), Path("config.yaml")) == []
