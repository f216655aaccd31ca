"""`gateway presets`."""

import click

from gateway.cli import options
from gateway.cli.display import print_json, print_rows
from gateway.cli.failure import Exit, Failure
from gateway.config import presets
from gateway.core.printable import one_line
from gateway.core.wording import did_you_mean


@click.group()
def command() -> None:
    """Known systems, ready to be used."""


@command.command("list")
@options.as_json
def list_presets(as_json: bool) -> None:
    """All of them, and what they are for."""
    found = [
        {"name": name, "section": section, "description": presets.load(section, name).description}
        for section, name in _all()
    ]
    if as_json:
        print_json(found)
    else:
        print_rows(("name", "section", "description"), found)


@command.command("show")
@click.argument("name")
@options.as_json
def show_preset(name: str, as_json: bool) -> None:
    """What a preset asks for, and the settings that follow.

    Settings written beside `preset:` in the configuration go over these.
    """
    sections = [section for section, known in _all() if known == name]
    if not sections:
        hint = did_you_mean(name, [known for _, known in _all()])
        raise Failure(f"{one_line(repr(name))} is no preset{hint}", Exit.USAGE)
    for section in sections:
        if as_json:
            print_json(presets.load(section, name).model_dump(exclude_unset=True))
        else:
            click.echo(presets.written(section, name).rstrip())


def _all() -> list[tuple[str, str]]:
    return [(section, name) for section in presets.SECTIONS for name in presets.names(section)]
