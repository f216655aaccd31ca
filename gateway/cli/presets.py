"""`gateway presets`."""

from pathlib import Path

import click

from gateway.cli import options
from gateway.cli.configuration import library
from gateway.cli.display import print_json, print_rows
from gateway.cli.failure import Exit, Failure
from gateway.config import Library
from gateway.config.library import SECTIONS
from gateway.core.printable import one_line
from gateway.core.wording import did_you_mean


@click.group()
def command() -> None:
    """Known systems, ready to be used."""


@command.command("list")
@options.config
@options.as_json
def list_presets(*, config_file: Path, as_json: bool) -> None:
    """All of them, and what they are for; those of the configuration's `presets_dir` as well, if there is one."""
    known = library(config_file)
    found = [
        {"name": name, "section": section, "description": known.load(section, name).description}
        for section, name in _all(known)
    ]
    if as_json:
        print_json(found)
    else:
        print_rows(("name", "section", "description"), found)


@command.command("show")
@click.argument("name")
@options.config
@options.as_json
def show_preset(*, name: str, config_file: Path, as_json: bool) -> None:
    """What a preset asks for, and the settings that follow.

    Settings written beside `preset:` in the configuration go over these.
    """
    known = library(config_file)
    sections = [section for section, other in _all(known) if other == name]
    if not sections:
        hint = did_you_mean(name, [other for _, other in _all(known)])
        raise Failure(f"{one_line(repr(name))} is no preset{hint}", Exit.USAGE)
    for section in sections:
        if as_json:
            print_json(known.load(section, name).model_dump(exclude_unset=True))
        else:
            click.echo(known.written(section, name).rstrip())


def _all(known: Library) -> list[tuple[str, str]]:
    return [(section, name) for section in SECTIONS for name in known.names(section)]
