"""`gateway resume`."""

import click

from gateway.cli import options
from gateway.cli.client import Client
from gateway.cli.display import print_json
from gateway.cli.pausing import called, path_of, pausable


@click.command()
@pausable
@options.reason
@options.as_json
def command(kind: str, name: str | None, key: str | None, reason: str | None, as_json: bool) -> None:
    """Let something go on that was paused."""
    client = Client.from_environment(reason=reason)
    page = client.post(*path_of(kind, name), "resume", body={} if key is None else {"key": key})
    if as_json:
        print_json(page)
    else:
        click.echo(f"{called(kind, name, key)} goes on.")
