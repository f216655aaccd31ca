"""`gateway targets`."""

import click

from gateway.cli import options
from gateway.cli.client import Client
from gateway.cli.display import print_fields, print_json, print_page, print_rows

_COLUMNS = ("name", "kind", "state", "running", "waiting", "paused", "breaker")
_OUTCOME_COLUMNS = ("id", "state", "finished_at", "reason")


@click.group()
def command() -> None:
    """List targets, and look at one."""


@command.command("list")
@options.limit
@options.as_json
def list_targets(limit: int, as_json: bool) -> None:
    """By name: whether they can be called, and what there is to do."""
    print_page(Client.from_environment().get("targets", limit=limit), _COLUMNS, as_json=as_json)


@command.command("show")
@click.argument("name")
@options.as_json
def show_target(name: str, as_json: bool) -> None:
    """One target, with the runs of it that ended last."""
    target = Client.from_environment().get("targets", name)
    if as_json:
        print_json(target)
        return
    outcomes = target.pop("last_outcomes", [])
    print_fields(target)
    if outcomes:
        click.echo("\nLast runs")
        print_rows(_OUTCOME_COLUMNS, outcomes)
