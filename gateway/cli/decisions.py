"""What was decided about an event, as people see it."""

from collections.abc import Mapping
from typing import Any

import click

from gateway.cli.display import print_rows
from gateway.core.printable import one_line

COLUMNS = ("trigger", "decision", "run_id", "reason")


def print_decisions(item: Mapping[str, Any]) -> None:
    """The answer to one event, in words."""
    event_id = one_line(str(item.get("event_id")))
    if not item.get("event_id"):
        click.echo("Ignored: the source is told not to store such events.")
    elif item.get("duplicate"):
        click.echo(f"A duplicate of event {event_id}: nothing new to decide.")
    elif "decisions" not in item:  # the source is told to be brief
        click.echo(f"Accepted as event {event_id}.")
    elif not item["decisions"]:
        click.echo(f"Accepted as event {event_id}; no trigger listens to it.")
    else:
        click.echo(f"Accepted as event {event_id}.")
        print_rows(COLUMNS, item["decisions"])
