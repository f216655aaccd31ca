"""`gateway explain`."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import click

from gateway.cli import options
from gateway.cli.client import Client
from gateway.cli.configuration import load
from gateway.cli.display import print_json, print_rows
from gateway.cli.explaining import explain_body
from gateway.cli.explanation import print_explanation
from gateway.cli.failure import Exit
from gateway.cli.what_if import compare
from gateway.core.what_if import Comparison

_CHANGES = ("trigger", "before", "after", "events", "example")
_RUNS = ("target", "runs_before", "runs_after")


@click.command()
@click.argument("event_id", required=False)
@click.option("--source", help="In place of an event: explain what this source makes of a body.")
@click.option("--body", type=click.File("rb"), metavar="FILE", help="The body, byte by byte; - reads standard input.")
@options.headers
@options.properties
@options.since
@options.config
@options.as_json
def command(
    *,
    event_id: str | None,
    source: str | None,
    body: BinaryIO | None,
    headers: Mapping[str, str],
    properties: Mapping[str, str],
    since: str | None,
    config_file: Path,
    as_json: bool,
) -> None:
    """Say what an event would come to, and why.

    For each trigger that listens: its decision, the values in its condition that decided it, and the request and call
    that it would make, with secrets masked. Nothing is changed.

    EVENT_ID is an event that a running gateway has; it is explained as if it came now.

    With --source and --body no gateway is asked: the body goes through the configuration alone, without its proof and
    without any other runs. For a queue it is that of a message, with --header and --property.

    With --since the events that a running gateway has had since then are planned with the configuration of --config,
    and what it would have decided otherwise is listed, with the runs of each target: those that would be asked for
    under another key or target are estimated. Another payload, debounce, max_wait or until is no other decision, and is
    not seen. The exit code is 1 if anything differs.
    """
    if sum(given is not None for given in (event_id, source, since)) != 1:
        raise click.UsageError("expected one of EVENT_ID, --source and --since")
    if (source is None) != (body is None):
        raise click.UsageError("--source and --body go together")
    if source is not None and body is not None:
        _print(explain_body(load(config_file), source, body.read(), headers, properties), as_json=as_json)
    elif since is not None:
        _print_difference(compare(load(config_file), Client.from_environment(), since), as_json=as_json)
    else:
        _print([Client.from_environment().post("explain", body={"event_id": event_id})], as_json=as_json)


def _print(documents: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(documents[0] if len(documents) == 1 else {"items": documents})
        return
    if not documents:
        click.echo("Ignored: the source is told not to store such events.")
    for number, document in enumerate(documents):
        if number:
            click.echo("\n---\n")
        print_explanation(document)


def _print_difference(comparison: Comparison, *, as_json: bool) -> None:
    """Ends the command with exit code 1 where there is one."""
    changes = [
        {**asdict(change), "events": events, "example": comparison.examples[change]}
        for change, events in comparison.changes.most_common()
    ]
    targets = [
        {"target": name, "runs_before": before, "runs_after": after}
        for name, (before, after) in comparison.targets().items()
        if before != after
    ]
    if as_json:
        print_json({"events": comparison.events, "changes": changes, "targets": targets})
    else:
        _print_tables(comparison.events, changes, targets)
    if changes or targets:
        raise click.exceptions.Exit(Exit.RUN_FAILED)  # as diff does


def _print_tables(events: int, changes: list[dict[str, Any]], targets: list[dict[str, Any]]) -> None:
    click.echo(f"{events} event{'' if events == 1 else 's'} planned; {'some' if changes else 'no'} decisions differ.")
    if changes:
        click.echo()
        print_rows(_CHANGES, changes)
    if targets:
        click.echo()
        print_rows(_RUNS, targets)
