"""What is told about the commands, and how soon."""

import subprocess
import sys

import click
import pytest

from gateway import __version__
from gateway.cli import COMMANDS, main
from tests.cli.conftest import Run

SUMMARIES = {name: summary for section in COMMANDS.values() for name, summary in section.items()}


def test_help_names_every_command(gateway: Run) -> None:
    result = gateway("--help")

    assert result.exit_code == 0
    assert [name for name, summary in SUMMARIES.items() if f"  {name} " not in result.stdout] == []


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_summary_is_the_first_sentence_of_its_command(name: str) -> None:
    command = main.get_command(click.Context(main), name)

    assert command is not None
    assert command.help is not None
    assert command.help.splitlines()[0] == SUMMARIES[name]


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_command_has_help(gateway: Run, name: str) -> None:
    assert gateway(name, "--help").exit_code == 0


def test_help_loads_nothing_heavy() -> None:
    heavy = "{'aiohttp', 'alembic', 'pydantic', 'rich', 'sqlalchemy', 'structlog', 'yaml'}"
    code = f"import gateway.cli, sys; print({heavy} & sys.modules.keys())"

    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "set()\n"


def test_python_dash_m_gateway_is_the_command() -> None:
    argv = [sys.executable, "-m", "gateway", "--version"]

    assert __version__ in subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def test_an_unknown_command_is_a_usage_error(gateway: Run) -> None:
    assert gateway("ghost").exit_code == 2
