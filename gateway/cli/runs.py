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
from gateway.cli.selection import bulk, filters, print_done, selected
from gateway.core.printable import one_line
from gateway.core.transcript import log_line

_COLUMNS = ("id", "state", "target", "trigger", "schedule", "key", "attempt", "events", "created_at", "reason")
SHOWN_LINES = 20
_ATTEMPT_COLUMNS = ("number", "outcome", "status", "started_at", "finished_at", "node", "reason")


@click.group()
def command() -> None:
    """List, look at, follow, retry and cancel runs."""


@command.command("list")
@filters
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
@click.argument("run_id", required=False)
@filters
@bulk
@options.reason
@options.as_json
def retry_runs(run_id: str | None, reason: str | None, as_json: bool, **selection: Any) -> None:
    """Make a new run of a finished one, with its key and its events.

    Or of all that the options select: of those that failed, unless they name a state.
    """
    client, wanted = Client.from_environment(reason=reason), selected(run_id, selection)
    if run_id is None:
        print_done(client.post("runs", "retry", body=wanted), "retried", as_json=as_json)
    else:
        _print_state(client.post("runs", run_id, "retry", body={}), as_json=as_json)


@command.command("cancel")
@click.argument("run_id", required=False)
@filters
@bulk
@click.option("--reason", help="Kept with the run.")
@options.as_json
def cancel_runs(run_id: str | None, reason: str | None, as_json: bool, **selection: Any) -> None:
    """Cancel a run that is not over; a call in progress is ended too.

    Or all that the options select.
    """
    client, wanted = Client.from_environment(), selected(run_id, selection)
    why = {"reason": reason} if reason else {}
    if run_id is None:
        print_done(client.post("runs", "cancel", body=wanted | why), "cancelled", as_json=as_json)
    else:
        _print_state(client.post("runs", run_id, "cancel", body=why), as_json=as_json)


def _print_state(run: Mapping[str, Any], *, as_json: bool) -> None:
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
