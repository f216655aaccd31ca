"""`gateway schedules`."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

from gateway.cli import options
from gateway.cli.client import Client
from gateway.cli.definitions import read_fields, read_schedules
from gateway.cli.display import print_fields, print_json, print_page, print_rows
from gateway.cli.failure import Exit
from gateway.cli.importing import import_all
from gateway.cli.parameters import JSON
from gateway.cli.run import conclude, waits
from gateway.core.printable import one_line

_COLUMNS = ("name", "origin", "timing", "target", "enabled", "paused", "next_due", "waiting_for", "last_tick_at")
_TIMING = ("cron", "interval", "at", "calendar", "any", "all", "continuous")
_UPCOMING_COLUMNS = ("at", "local", "schedule", "target", "starts_at", "note")
_SKIPPED_COLUMNS = ("from", "to", "count", "reason")
_IMPORT_COLUMNS = ("schedule", "result", "reason")

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def command() -> None:
    """Look at schedules and what is to come; define and force them."""


@command.command("list")
@options.limit
@options.as_json
def list_schedules(limit: int, as_json: bool) -> None:
    """By name: when they are due, and what for."""
    page = Client.from_environment().get("schedules", limit=limit)
    if not as_json:
        for schedule in page["items"]:
            schedule["timing"] = _timing(schedule)
            schedule["paused"] = schedule["paused"] is not None
    print_page(page, _COLUMNS, as_json=as_json)


@command.command("show")
@click.argument("name")
@options.as_json
def show_schedule(name: str, as_json: bool) -> None:
    """All about one schedule: what it says, what is to come, and which ticks were skipped."""
    _show(Client.from_environment().get("schedules", name), as_json=as_json)


@command.command("upcoming")
@click.option("--hours", type=click.IntRange(1), default=24, show_default=True)
@options.as_json
def show_upcoming(hours: int, as_json: bool) -> None:
    """What is to come, of all schedules, in the order of time."""
    found = Client.from_environment().get("schedules", "upcoming", hours=hours)
    if as_json:
        print_json(found)
        return
    print_rows(_UPCOMING_COLUMNS, found["items"])
    for name, count in found["truncated"].items():
        click.echo(f"{one_line(name)}: {count} more.", err=True)


def _timing(schedule: Mapping[str, Any]) -> Any:
    kind, value = next(((kind, schedule[kind]) for kind in _TIMING if schedule.get(kind) is not None), ("", None))
    return kind if kind == "continuous" else value


def _defining(command: F) -> F:
    """How a schedule is said on the command line: by a file, or by its commonest fields, which go over the file."""
    parts = (
        click.argument("name"),
        click.argument("file", type=click.File("rb"), required=False),
        click.option("--cron", metavar="EXPRESSION"),
        click.option("--interval", metavar="DURATION", help="Such as 45s, 2h30m or 7d."),
        click.option("--at", metavar="TIME", help="Once: 2027-01-15T22:00:00+01:00."),
        click.option("--timezone", metavar="ZONE", help="Such as Europe/Amsterdam; UTC without it."),
        click.option("--target"),
        click.option("--payload", type=JSON, metavar="JSON", help="What the target is given."),
        options.reason,
        options.as_json,
    )
    for part in reversed(parts):
        command = part(command)
    return command


@command.command("add")
@_defining
def add_schedule(name: str, file: BinaryIO | None, reason: str | None, as_json: bool, **said: Any) -> None:
    """Define a schedule: by a FILE with what the configuration says of one (- is standard input), by options, or both.

    Texts in it are no templates.
    """
    fields = _fields(file, said)
    _show(Client.from_environment(reason=reason).post("schedules", body={**fields, "name": name}), as_json=as_json)


@command.command("update")
@_defining
def update_schedule(name: str, file: BinaryIO | None, reason: str | None, as_json: bool, **said: Any) -> None:
    """Define a schedule anew: all that it says is replaced.

    Where its timing stays as it is, its ticks come as before.
    """
    _show(Client.from_environment(reason=reason).put("schedules", name, body=_fields(file, said)), as_json=as_json)


@command.command("remove")
@click.argument("name")
@options.reason
def remove_schedule(name: str, reason: str | None) -> None:
    """Remove a schedule. Its runs stay."""
    Client.from_environment(reason=reason).delete("schedules", name)
    click.echo(f"The schedule {one_line(name)} is removed.")


@command.command("run")
@click.argument("name")
@waits
@options.reason
@options.as_json
@click.pass_context
def run_schedule(
    ctx: click.Context, *, name: str, wait: bool, timeout: timedelta, reason: str | None, as_json: bool
) -> None:
    """Run the target of a schedule now, with its payload; its ticks come as before.

    With --wait the end of the command is that of the run; Ctrl-C ends only the waiting.
    """
    client = Client.from_environment(reason=reason)
    run = client.post("schedules", name, "run", body={})
    conclude(ctx, client, run, timeout if wait else None, as_json=as_json)


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@options.reason
@options.as_json
@click.pass_context
def import_schedules(ctx: click.Context, file: Path, reason: str | None, as_json: bool) -> None:
    """Define what stands under `schedules:` in a FILE, as a configuration has it.

    What is missing is created, what differs is updated, what is equal is left alone, and nothing is removed. Texts are
    no templates; references such as ${VAR} are filled in here. Exit code 2 if any schedule is refused; the others are
    imported all the same.
    """
    results = import_all(Client.from_environment(reason=reason), *read_schedules(file))
    if as_json:
        print_json(results)
    else:
        print_rows(_IMPORT_COLUMNS, results)
    ctx.exit(Exit.USAGE if any(one["result"] == "refused" for one in results) else Exit.DONE)


def _fields(file: BinaryIO | None, said: Mapping[str, Any]) -> dict[str, Any]:
    return {**(read_fields(file) if file else {}), **{name: value for name, value in said.items() if value is not None}}


def _show(page: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(page)
        return
    skipped = page.pop("skipped", [])
    print_fields(page)
    if skipped:
        click.echo("\nSkipped")
        print_rows(_SKIPPED_COLUMNS, skipped)
