"""`gateway sources`."""

import click

from gateway.cli import options
from gateway.cli.client import Client
from gateway.cli.display import print_page
from gateway.cli.triggers import since_when

_COLUMNS = ("name", "kind", "at", "state", "paused", "events", "redelivered", "ignored", "runs", "last_event")


@click.group()
def command() -> None:
    """List sources, and what came in."""


@command.command("list")
@options.since
@options.limit
@options.as_json
def list_sources(since: str | None, limit: int, as_json: bool) -> None:
    """By name: where events come in, whether they can, and how many did since a time; of a day, if nothing is said."""
    page = Client.from_environment().get("sources", since=since, limit=limit)
    if not as_json:
        page["items"] = [
            {**source["counts"], **source, "at": source["path"] or source["queue"], **since_when(source)}
            for source in page["items"]
        ]
    print_page(page, _COLUMNS, as_json=as_json)
