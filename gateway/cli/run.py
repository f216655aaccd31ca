"""`gateway run`."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

import click
from rich.console import Console

from gateway.cli import options
from gateway.cli.client import Client
from gateway.cli.display import print_json
from gateway.cli.failure import Exit
from gateway.cli.parameters import DURATION, JSON
from gateway.cli.screen import Screen
from gateway.cli.waiting import until_final
from gateway.core.printable import one_line
from gateway.core.run import FINAL, State

INTERRUPTED = 130

F = TypeVar("F", bound=Callable[..., Any])


def waits(command: F) -> F:
    """The options of a command that may wait for the end of the run it asks for: `wait` and `timeout`."""
    wait = click.option("--wait", is_flag=True, help="Until it is over; exit code 1 unless it succeeds.")
    timeout = click.option(
        "--timeout", type=DURATION, default="10m", show_default=True, help="Of waiting; exit code 3 then."
    )
    return wait(timeout(command))


@click.command()
@click.argument("target")
@click.option("--payload", type=JSON, default="{}", metavar="JSON", help="What the target is given.")
@click.option("--key", help="Joins what waits under this key; without one the run is a new one.")
@waits
@options.reason
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    *,
    target: str,
    payload: Any,
    key: str | None,
    wait: bool,
    timeout: timedelta,
    reason: str | None,
    as_json: bool,
) -> None:
    """Run a target now.

    A run by hand goes before those that wait. With --wait its attempts, its progress and what they say are shown on
    standard error, and the end of the command is that of the run; Ctrl-C ends only the waiting.
    """
    client = Client.from_environment(reason=reason)
    body = {"payload": payload, **({"key": key} if key else {})}
    run = client.post("targets", target, "run", body=body)
    conclude(ctx, client, run, timeout if wait else None, as_json=as_json)


def conclude(
    ctx: click.Context, client: Client, run: Mapping[str, Any], lasting: timedelta | None, *, as_json: bool
) -> None:
    """Waits for the end of a run if that is wanted, says how it is, and ends the command as the run has ended."""
    if lasting is not None:
        run = _wait(ctx, client, run, lasting)
    if as_json:
        print_json(run if lasting is None else client.get("runs", run["id"]))
    else:
        click.echo(_sentence(run))
    failed = run["state"] in FINAL and run["state"] != State.SUCCEEDED
    ctx.exit(Exit.RUN_FAILED if lasting is not None and failed else Exit.DONE)


def _wait(ctx: click.Context, client: Client, run: Mapping[str, Any], timeout: timedelta) -> Mapping[str, Any]:
    try:
        with Screen(Console(stderr=True)) as screen:
            screen.tell(run)
            return until_final(client, run, timeout, screen.show)
    except KeyboardInterrupt:
        click.echo(f"Run {one_line(run['id'])} goes on.", err=True)
        ctx.exit(INTERRUPTED)


def _sentence(run: Mapping[str, Any]) -> str:
    why = run.get("reason") or (f"waiting for {run['waiting_for']}" if run.get("waiting_for") else None)
    return one_line(f"Run {run['id']} of {run['target']}: {run['state']}" + (f" ({why})" if why else ""))
