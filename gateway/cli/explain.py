"""`gateway explain`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import click

from gateway.cli import options
from gateway.cli.client import Client
from gateway.cli.configuration import load
from gateway.cli.display import print_json
from gateway.cli.explaining import explain_body
from gateway.cli.explanation import print_explanation


@click.command()
@click.argument("event_id", required=False)
@click.option("--source", help="In place of an event: explain what this source makes of a body.")
@click.option("--body", type=click.File("rb"), metavar="FILE", help="The body, byte by byte; - reads standard input.")
@options.headers
@options.config
@options.as_json
def command(
    *,
    event_id: str | None,
    source: str | None,
    body: BinaryIO | None,
    headers: Mapping[str, str],
    config_file: Path,
    as_json: bool,
) -> None:
    """Say what an event would come to, and why.

    For each trigger that listens: its decision, the values in its condition that decided it, and the request and call
    that it would make, with secrets masked. Nothing is changed.

    EVENT_ID is an event that a running gateway has; it is explained as if it came now.

    With --source and --body no gateway is asked: the body goes through the configuration alone, without its proof and
    without any other runs.
    """
    if (event_id is None) == (source is None):
        raise click.UsageError("expected either EVENT_ID or --source")
    if (source is None) != (body is None):
        raise click.UsageError("--source and --body go together")
    if source is None or body is None:
        _print([Client.from_environment().post("explain", body={"event_id": event_id})], as_json=as_json)
    else:
        _print(explain_body(load(config_file), source, body.read(), headers), as_json=as_json)


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
