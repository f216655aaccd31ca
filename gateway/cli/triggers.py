"""`gateway triggers`."""

from collections.abc import Mapping
from typing import Any

import click

from gateway.cli import options
from gateway.cli.client import Client
from gateway.cli.display import print_page

_COUNTED = ("runs", "merged", "duplicates", "filtered", "errors", "shadow", "succeeded", "failed")
_COLUMNS = ("name", "on", "target", "mode", "paused", *_COUNTED, "last_event")


@click.group()
def command() -> None:
    """List triggers, and what they decided."""


@command.command("list")
@options.since
@options.limit
@options.as_json
def list_triggers(since: str | None, limit: int, as_json: bool) -> None:
    """By name: what they listen to, and what they decided since a time; of a day, if nothing is said."""
    page = Client.from_environment().get("triggers", since=since, limit=limit)
    if not as_json:
        page["items"] = [_line(trigger) for trigger in page["items"]]
    print_page(page, _COLUMNS, as_json=as_json)


def _line(trigger: Mapping[str, Any]) -> dict[str, Any]:
    listens = ", ".join(" ".join(_texts(match)) for match in trigger["on"])
    return {**trigger["counts"], **trigger, "on": listens, **since_when(trigger)}


def _texts(match: Mapping[str, Any]) -> list[str]:
    return [value if isinstance(value, str) else "|".join(value) for value in match.values()]


def since_when(item: Mapping[str, Any]) -> dict[str, Any]:
    """Whether it is paused, and when its last event was."""
    return {
        "paused": item["paused"] is not None,
        "last_event": item["last_event"] and item["last_event"]["received_at"],
    }
