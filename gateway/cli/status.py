"""`gateway status`."""

from collections.abc import Mapping
from typing import Any

import click

from gateway.cli import options
from gateway.cli.client import Client
from gateway.cli.display import HASH_SHOWN, print_fields, print_json, print_rows
from gateway.core.printable import one_line

_NODE_COLUMNS = ("name", "version", "config_hash", "labels", "started_at")
_PAUSE_COLUMNS = ("kind", "name", "key", "by", "until", "reason")
_TARGET_COLUMNS = ("name", "state", "running", "waiting")


@click.command()
@options.as_json
def command(as_json: bool) -> None:
    """Nodes, targets and their runs at a glance."""
    status = Client.from_environment().get("status")
    if as_json:
        print_json(status)
        return
    leader = status["leader"] and status["leader"]["node"]
    node = status["node"]
    print_fields({"version": status["version"], "node": node["name"], "leader": leader, "ignored": node["ignored"]})
    for weakness in status["weaknesses"]:
        click.echo(f"The database is weak: {one_line(weakness)}", err=True)
    click.echo("\nNodes")
    print_rows(_NODE_COLUMNS, [_node(node) for node in status["nodes"]])
    if status["pauses"]:
        click.echo("\nPaused")
        print_rows(_PAUSE_COLUMNS, status["pauses"])
    click.echo("\nTargets")
    print_rows(_TARGET_COLUMNS, status["targets"])


def _node(node: Mapping[str, Any]) -> dict[str, Any]:
    return {**node, "config_hash": node["config_hash"][:HASH_SHOWN], "labels": ", ".join(node["labels"])}
