"""`gateway migrate`."""

import asyncio
from pathlib import Path

import click

from gateway.cli import options
from gateway.cli.configuration import load
from gateway.cli.failure import Exit, Failure
from gateway.config import Loaded
from gateway.core.errors import Unavailable
from gateway.core.printable import one_line
from gateway.store.database import DatabaseInUse, open_database
from gateway.store.migrate import migrate


@click.command()
@options.config
def command(config_file: Path) -> None:
    """Bring the database to what this version needs.

    `gateway serve` does so by itself; this is for those who want it done before. Gateways of the version before go on.
    """
    changed = asyncio.run(_migrate(load(config_file)))
    click.echo("The database has been migrated." if changed else "The database is up to date.")


async def _migrate(loaded: Loaded) -> bool:
    try:
        async with open_database(loaded.config.database) as database:
            return await migrate(database)
    except DatabaseInUse as error:
        raise Failure(one_line(str(error)), Exit.USAGE) from error
    except (Unavailable, OSError) as error:
        raise Failure(f"No database: {one_line(str(error))}", Exit.UNREACHABLE) from error
