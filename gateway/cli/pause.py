"""`gateway pause`."""

from datetime import timedelta

import click

from gateway.cli import options
from gateway.cli.client import Client
from gateway.cli.display import print_json
from gateway.cli.parameters import DURATION
from gateway.core.duration import format_duration
from gateway.core.printable import one_line


@click.command()
@options.pausable
@click.argument("name")
@click.option("--for", "lasting", type=DURATION, metavar="DURATION", help="Goes on by itself after that, such as 2h.")
@click.option("--reason", help="Shown while it lasts.")
@options.as_json
def command(kind: str, name: str, lasting: timedelta | None, reason: str | None, as_json: bool) -> None:
    """Stop the calls of a target, or the ticks of a schedule.

    What is requested of a paused target queues and merges; of a paused schedule nothing is made up for.
    """
    wanted = {"for": None if lasting is None else format_duration(lasting), "reason": reason}
    body = {field: value for field, value in wanted.items() if value is not None}
    page = Client.from_environment().post(f"{kind}s", name, "pause", body=body)
    if as_json:
        print_json(page)
    else:
        how_long = f"for {wanted['for']}" if wanted["for"] else "until it is resumed"
        click.echo(f"The {kind} {one_line(name)} is paused {how_long}.")
