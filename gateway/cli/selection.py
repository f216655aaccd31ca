"""Which runs: those that have something in common."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from gateway.cli import options
from gateway.cli.display import print_json
from gateway.core.printable import one_line
from gateway.core.run import State

F = TypeVar("F", bound=Callable[..., Any])

_FILTERS = (
    click.option("--state", type=click.Choice([str(state) for state in State])),
    click.option("--target"),
    click.option("--trigger"),
    click.option("--schedule"),
    click.option("--key"),
    options.since,
    options.until,
)
_BULK = (
    click.option("--dry-run", is_flag=True, help="Only say which runs these are."),
    click.option("--max", type=click.IntRange(1, 10_000), help="Of more than that, the oldest; 1000 without it."),
    click.option("--cursor", help="Go on with those that remained."),
)


def filters(command: F) -> F:
    """The options that say what the runs have in common."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


def bulk(command: F) -> F:
    """The options of a command that does something to all of them."""
    for option in reversed(_BULK):
        command = option(command)
    return command


def selected(run_id: str | None, options_given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given. Raises `UsageError` unless there is either a run or a filter."""
    given = {name: value for name, value in options_given.items() if value not in (None, False)}
    if run_id is not None and given:
        raise click.UsageError("either one RUN_ID, or options that select several")
    if run_id is None and not given.keys() - {"dry_run", "max", "cursor"}:
        raise click.UsageError("Missing argument 'RUN_ID': or say which by --state, --target, --trigger and the like.")
    return given


def print_done(done: Mapping[str, Any], verb: str, *, as_json: bool) -> None:
    """What was done to them; or would be, one on each line."""
    if as_json:
        print_json(done)
        return
    if done["dry_run"]:
        click.echo("".join(f"{one_line(run_id)}\n" for run_id in done["ids"]), nl=False)
        click.echo(f"{_runs(len(done['ids']))} would be {verb}.", err=True)
    else:
        click.echo(f"{_runs(done['done'])} {'is' if done['done'] == 1 else 'are'} {verb}.")
    for refused in done["refused"]:
        click.echo(f"{one_line(refused['id'])} is not: {one_line(refused['reason'])}", err=True)
    if done["next"]:
        click.echo(f"{done['remaining']} more: go on with --cursor {one_line(done['next'])}", err=True)


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
