"""`gateway audit`."""

from typing import Any

import click

from gateway.cli import options
from gateway.cli.client import Client
from gateway.cli.display import print_page

_COLUMNS = ("at", "actor", "action", "kind", "name", "count", "outcome", "reason", "address")


@click.command()
@click.option("--actor", help="The name of a token.")
@click.option("--action", help="Such as run, cancel, retry, replay, pause, resume, create, replace, remove or reload.")
@options.since
@options.until
@options.limit
@options.as_json
def command(as_json: bool, **wanted: Any) -> None:
    """Who did what by hand, and why.

    The newest first.
    """
    print_page(Client.from_environment().get("audit", **wanted), _COLUMNS, as_json=as_json)
