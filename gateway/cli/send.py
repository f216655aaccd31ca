"""`gateway send`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import click

from gateway.cli import options
from gateway.cli.client import Answer, accepted, exchange
from gateway.cli.configuration import load
from gateway.cli.decisions import print_decisions
from gateway.cli.display import print_json
from gateway.cli.posting import prepare
from gateway.core.printable import one_line


@click.command()
@click.argument("source")
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--keep", is_flag=True, help="With the id of the sample, so that the second time it is a duplicate.")
@options.headers
@click.option("--curl", is_flag=True, help="Print the command line that would do it, secrets included, and do nothing.")
@options.config
@options.as_json
def command(
    *,
    source: str,
    file: BinaryIO | None,
    keep: bool,
    headers: Mapping[str, str],
    curl: bool,
    config_file: Path,
    as_json: bool,
) -> None:
    """Post an event to a source, signed as its sender would.

    FILE is the body, byte by byte; - reads standard input. Without FILE it is a sample of the source's preset, under a
    new id each time, so that every call is a new event.

    The secret is that of the configuration, and the address that of its `server:`, unless GATEWAY_URL names another.
    """
    posting = prepare(load(config_file), source, file.read() if file else None, extra=headers, keep=keep)
    if curl:
        click.echo(posting.curl())
        return
    answer = exchange(posting.method, posting.url, posting.headers, posting.body)
    told = _told_otherwise(answer) if answer.is_success and not answer.is_json else accepted(answer)
    if as_json:
        print_json(told)
    else:
        _print_answer(told)


def _told_otherwise(answer: Answer) -> dict[str, Any]:
    """The answer of a source that is told what to say."""
    return {"status": answer.status, "body": answer.body.decode(errors="replace")}


def _print_answer(document: Mapping[str, Any]) -> None:
    """The decisions, or what else the source is told to answer."""
    if "status" in document:
        click.echo(one_line(f"Accepted: {document['status']} {document['body']}".rstrip()))
        return
    for item in document.get("items", [document]):
        print_decisions(item)
