"""The command line in a folder of its own, without anything in the environment that it listens to."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from tests.cli.stub import Stub, serving

Run = Callable[..., Result]


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command; `stdin` is what it can read."""
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(main, arguments, input=stdin, catch_exceptions=False)

    return run


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """What stands at GATEWAY_URL."""
    with serving() as server:
        monkeypatch.setenv("GATEWAY_URL", server.url)
        yield server


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A small configuration, as `config.yaml` in the present folder."""
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


CONFIG = """
server: {port: 9}  # nobody listens there
sources:
  by-token:
    kind: webhook
    verify: {scheme: token, name: X-Token, secret: a-secret-token}
  netbox: {preset: netbox, secret: a-netbox-secret}
  github: {preset: github, secret: a-github-secret}
targets:
  sync: {kind: http, url: "http://127.0.0.1:9/sync"}
triggers:
  any-site: {on: netbox, target: sync, once: {}}
"""
