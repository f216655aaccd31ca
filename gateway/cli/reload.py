"""`gateway reload`."""

from collections.abc import Mapping
from typing import Any

import click

from gateway.cli import options
from gateway.cli.client import Client
from gateway.cli.display import HASH_SHOWN, print_json
from gateway.core.printable import one_line


@click.command()
@options.reason
@options.as_json
def command(reason: str | None, as_json: bool) -> None:
    """Have a running gateway read its configuration anew.

    What is in progress ends as it began. Where the configuration has problems, the old one stays in force, and the
    exit code is 2.
    """
    reloaded = Client.from_environment(reason=reason).post("reload", body={})
    if as_json:
        print_json(reloaded)
        return
    for warning in reloaded["warnings"]:
        click.echo(f"warning: {one_line(warning)}", err=True)
    click.echo(_sentence(reloaded))
    for path in reloaded["restart_needed"]:
        click.echo(f"{one_line(path)} has changed, which takes a restart.")


def _sentence(reloaded: Mapping[str, Any]) -> str:
    shown = one_line(reloaded["config_hash"][:HASH_SHOWN])
    return f"Configuration {shown} is in force." if reloaded["changed"] else f"Nothing has changed: {shown}."
