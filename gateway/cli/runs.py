"""`gateway runs`."""

import math
from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console

from gateway.cli import options
from gateway.cli.client import Client
from gateway.cli.display import print_fields, print_json, print_page, print_rows
from gateway.cli.following import follow
from gateway.cli.progress import in_words
from gateway.cli.screen import Screen
from gateway.core.printable import one_line
from gateway.core.run import State
from gateway.core.transcript import log_line

_COLUMNS = ("id", "state", "target", "trigger", "schedule", "key", "attempt", "events", "created_at", "reason")
SHOWN_LINES = 20
_ATTEMPT_COLUMNS = ("number", "outcome", "status", "started_at", "finished_at", "node", "reason")


@click.group()
def command() -> None:
    """List, look at, follow, retry and cancel runs."""


@command.command("list")
@click.option("--state", type=click.Choice([str(state) for state in State]))
@click.option("--target")
@click.option("--trigger")
@click.option("--schedule")
@click.option("--key")
@options.since
@options.until
@options.limit
@options.as_json
def list_runs(as_json: bool, **wanted: Any) -> None:
    """The newest first."""
    print_page(Client.from_environment().get("runs", **wanted), _COLUMNS, as_json=as_json)


@command.command("show")
@click.argument("run_id")
@options.as_json
def show_run(run_id: str, as_json: bool) -> None:
    """All about one run: why it waits, what was tried, and what the target said."""
    run = Client.from_environment().get("runs", run_id)
    if as_json:
        print_json(run)
        return
    attempts = run.pop("attempts", [])
    print_fields(run | {"progress": in_words(run.get("progress"))})
    if attempts:
        click.echo()
        print_rows(_ATTEMPT_COLUMNS, attempts)
    for attempt in attempts:
        _print_log(attempt)


@command.command("log")
@click.argument("run_id")
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on until the run is over, through its retries.")
def show_log(run_id: str, follows: bool) -> None:
    """What the calls of a run have said, attempt by attempt."""
    client = Client.from_environment()
    if follows:
        client.get("runs", run_id)  # from then on a gateway that is away is waited for
        with Screen(Console()) as screen:
            follow(client, run_id, screen.show, lambda: math.inf)
    else:
        click.echo("\n".join(map(log_line, client.text("runs", run_id, "log").split("\n"))), nl=False)


@command.command("retry")
@click.argument("run_id")
@options.as_json
def retry_run(run_id: str, as_json: bool) -> None:
    """Make a new run of a finished one, with its key and its events."""
    run = Client.from_environment().post("runs", run_id, "retry", body={})
    if as_json:
        print_json(run)
    else:
        click.echo(f"Run {one_line(str(run['id']))} is {one_line(str(run['state']))}.")


@command.command("cancel")
@click.argument("run_id")
@click.option("--reason", help="Kept with the run.")
@options.as_json
def cancel_run(run_id: str, reason: str | None, as_json: bool) -> None:
    """Cancel a run that is not over; a call in progress is ended too."""
    run = Client.from_environment().post("runs", run_id, "cancel", body={"reason": reason} if reason else {})
    if as_json:
        print_json(run)
    else:
        click.echo(f"Run {one_line(str(run['id']))} is {one_line(str(run['state']))}.")


def _print_log(attempt: Mapping[str, Any]) -> None:
    """Its end; the command `log` has all that is kept."""
    if lines := str(attempt.get("log") or "").splitlines():
        number = one_line(str(attempt.get("number")))
        end = "" if len(lines) <= SHOWN_LINES else f", its last {SHOWN_LINES} lines"
        click.echo(f"\nLog of attempt {number}{end}:")
        for line in lines[-SHOWN_LINES:]:
            click.echo(f"  {log_line(line)}")
