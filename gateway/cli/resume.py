"""`gateway resume`."""

import click

from gateway.cli import options
from gateway.cli.client import Client
from gateway.cli.display import print_json
from gateway.core.printable import one_line


@click.command()
@options.pausable
@click.argument("name")
@options.as_json
def command(kind: str, name: str, as_json: bool) -> None:
    """Let a target or a schedule go on."""
    page = Client.from_environment().post(f"{kind}s", name, "resume", body={})
    if as_json:
        print_json(page)
    else:
        click.echo(f"The {kind} {one_line(name)} goes on.")
