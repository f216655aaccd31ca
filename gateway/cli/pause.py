"""`gateway pause`."""

from datetime import timedelta

import click

from gateway.cli import options
from gateway.cli.client import Client
from gateway.cli.display import print_json
from gateway.cli.parameters import DURATION
from gateway.cli.pausing import called, path_of, pausable
from gateway.core.duration import format_duration


@click.command()
@pausable
@click.option("--for", "lasting", type=DURATION, metavar="DURATION", help="Goes on by itself after that, such as 2h.")
@click.option("--reason", help="Shown while it lasts.")
@options.as_json
def command(
    *, kind: str, name: str | None, key: str | None, lasting: timedelta | None, reason: str | None, as_json: bool
) -> None:
    """Stop the calls of a target, a trigger, a source or everything, or the ticks of a schedule.

    What is requested meanwhile queues and merges; of a paused schedule nothing is made up for.
    """
    path = path_of(kind, name)
    wanted = {"for": None if lasting is None else format_duration(lasting), "reason": reason, "key": key}
    body = {field: value for field, value in wanted.items() if value is not None}
    page = Client.from_environment().post(*path, "pause", body=body)
    if as_json:
        print_json(page)
    else:
        how_long = f"for {wanted['for']}" if wanted["for"] else "until it is resumed"
        click.echo(f"{called(kind, name, key)} is paused {how_long}.")
