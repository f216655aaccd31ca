"""`gateway backup`."""

from pathlib import Path

import click
from rich.filesize import decimal

from gateway.cli import options
from gateway.cli.configuration import load
from gateway.cli.display import print_json
from gateway.cli.failure import Exit, Failure
from gateway.core.errors import Unavailable
from gateway.core.printable import one_line
from gateway.store.backup import NoBackup, back_up


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@options.config
@options.as_json
def command(file: Path, config_file: Path, as_json: bool) -> None:
    """Copy a SQLite database while the gateway goes on.

    The copy is of one moment, is checked before it gets its name, and is a database like any other: to restore it, stop
    the gateway and put it in place. FILE must not exist yet. Of PostgreSQL, pg_dump makes a copy.
    """
    try:
        size = back_up(load(config_file).config.database, file)
    except NoBackup as refusal:
        raise Failure(f"No backup: {one_line(str(refusal))}.", Exit.USAGE) from refusal
    except Unavailable as error:
        raise Failure(f"No database: {one_line(error.detail)}", Exit.UNREACHABLE) from error
    if as_json:
        print_json({"file": str(file), "bytes": size})
    else:
        click.echo(f"{one_line(str(file))} is a checked copy of the database: {decimal(size)}.")
