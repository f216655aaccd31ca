"""`gateway check`, `serve` and `migrate` with configurations of all sorts."""

from pathlib import Path

import pytest

from tests.cli.conftest import CONFIG, Run


def test_a_valid_file_is_summed_up_in_one_line(gateway: Run, config: Path) -> None:
    result = gateway("check")

    assert result.exit_code == 0
    assert "config.yaml is valid: 3 sources, 1 target, 1 trigger" in result.stdout


def test_all_problems_are_told_with_their_places(gateway: Run, config: Path) -> None:
    config.write_text(CONFIG.replace("target: sync", "target: snyc").replace("port: 9", "prt: 9"))
    result = gateway("check", "-c", "config.yaml")

    assert result.exit_code == 2
    assert result.stdout == ""
    assert "2 problems to correct" in result.stderr
    assert "config.yaml:2:" in result.stderr
    assert "triggers.any-site.target" in result.stderr


@pytest.mark.parametrize("command", ["check", "serve", "migrate"])
def test_a_missing_file_is_a_configuration_error(gateway: Run, command: str) -> None:
    result = gateway(command, "-c", "ghost.yaml")

    assert result.exit_code == 2
    assert "ghost.yaml" in result.stderr


def test_the_environment_names_the_file(gateway: Run, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_CONFIG", str(config.rename(config.with_name("other.yaml"))))

    assert "other.yaml is valid" in gateway("check").stdout


def test_s10_what_stands_in_a_file_cannot_steer_the_terminal(gateway: Run, config: Path) -> None:
    config.write_text('"[red]\\e[2J\\u202e\\nkey": 1')
    result = gateway("check")

    assert result.exit_code == 2
    assert [line for line in result.stderr.splitlines() if not line.isprintable()] == []
    assert "[red]" in result.stderr


def test_secrets_of_the_environment_are_not_told(gateway: Run, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "hunter2")
    config.write_text(CONFIG.replace("port: 9", 'port: "${PORT}"'))
    result = gateway("check")

    assert result.exit_code == 2
    assert "hunter2" not in result.stderr


@pytest.mark.parametrize("variable", ["GATEWAY_LOG_LEVEL", "GATEWAY_LOG_FORMAT"])
def test_serve_refuses_an_unknown_log_setting(
    gateway: Run, config: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "loud")
    result = gateway("serve")

    assert result.exit_code == 2
    assert f"{variable}: expected" in result.stderr
