"""`gateway events`."""

from collections.abc import Mapping
from typing import Any

import click

from gateway.cli import options
from gateway.cli.client import Client
from gateway.cli.decisions import COLUMNS as DECISION_COLUMNS
from gateway.cli.decisions import print_decisions
from gateway.cli.display import print_fields, print_json, print_page, print_rows
from gateway.core.request import Verb

_COLUMNS = ("id", "source", "type", "subject", "received_at", "deliveries", "decisions")


@click.group()
def command() -> None:
    """List, look at and replay events."""


@command.command("list")
@click.option("--source")
@click.option("--type")
@click.option("--decision", type=click.Choice([str(verb) for verb in Verb]))
@options.since
@options.until
@options.limit
@options.as_json
def list_events(as_json: bool, **wanted: Any) -> None:
    """The newest first."""
    page = Client.from_environment().get("events", **wanted)
    if not as_json:
        for event in page["items"]:
            event["decisions"] = ", ".join(_decision(made, event["source"]) for made in event["decisions"])
    print_page(page, _COLUMNS, as_json=as_json)


@command.command("show")
@click.argument("event_id")
@options.as_json
def show_event(event_id: str, as_json: bool) -> None:
    """All about one event: what came, and what every trigger decided about it."""
    event = Client.from_environment().get("events", event_id)
    if as_json:
        print_json(event)
        return
    decisions = event.pop("decisions", [])
    print_fields(event)
    if decisions:
        click.echo()
        print_rows(DECISION_COLUMNS, decisions)


@command.command("replay")
@click.argument("event_id")
@options.reason
@options.as_json
def replay_event(event_id: str, reason: str | None, as_json: bool) -> None:
    """Send a stored event through the triggers of today, as a new event that names the old one."""
    accepted = Client.from_environment(reason=reason).post("events", event_id, "replay", body={})
    if as_json:
        print_json(accepted)
    else:
        print_decisions(accepted)


def _decision(made: Mapping[str, Any], source: str) -> str:
    """What a trigger decided; or the source itself, where that is a schedule or somebody who asks by hand."""
    return f"{made['trigger'] or source}: {made['decision']}"
