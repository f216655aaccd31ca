"""`gateway check`."""

from pathlib import Path

import click

from gateway.cli import options
from gateway.cli.configuration import described, load
from gateway.config import Loaded
from gateway.config.model import NAMED
from gateway.core.printable import one_line


@click.command()
@options.config
def command(config_file: Path) -> None:
    """Say what is wrong with a configuration.

    All problems at once, each with its place; warnings name what works but may not be meant. Exit code 2 if there are
    problems.
    """
    loaded = load(config_file)
    for line in described(loaded.warnings):
        click.echo(f"warning:{line[1:]}")
    click.echo(f"{one_line(str(config_file))} is valid: {_counts(loaded)}.")


def _counts(loaded: Loaded) -> str:
    counts = {section: len(getattr(loaded.config, section)) for section in NAMED}
    return ", ".join(
        f"{count} {section.removesuffix('s') if count == 1 else section}" for section, count in counts.items()
    )
