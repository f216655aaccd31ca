"""The tables, as the migrations make them and as the code expects them."""

import asyncio
import signal
import sys
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from gateway.store.database import Database, open_database
from gateway.store.migrate import HEAD, migrate, upgrade
from gateway.store.schema import metadata
from gateway.store.settings import DatabaseSettings
from tests.store.scene import opened


def settings(url: str) -> DatabaseSettings:
    return DatabaseSettings.model_validate({"url": url})


async def look(database: Database, at: Callable[[Connection], Any]) -> Any:
    async with database.read() as connection:
        return await connection.run_sync(at)


def differences(connection: Connection) -> Any:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return compare_metadata(context, metadata)


def indexes(connection: Connection) -> dict[str, str]:
    """The definitions of all indexes, with the conditions of partial ones, which no comparison looks at."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"))
    else:
        rows = connection.execute(text("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"))
    return {name: " ".join(sql.split()) for name, sql in rows if not name.startswith("alembic")}


async def test_the_migrations_make_the_tables_of_a_new_database(database_url: str) -> None:
    async with open_database(settings(database_url)) as database:
        await database.transact(upgrade)
        assert not await migrate(database)
        assert await look(database, differences) == []
        migrated = await look(database, indexes)
        await database.transact(metadata.drop_all)
        await database.transact(lambda connection: connection.execute(text("DROP TABLE alembic_version")))

        assert await migrate(database)
        assert not await migrate(database)
        assert await look(database, indexes) == migrated


def test_the_head_is_the_last_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(files("gateway.store") / "migrations"))
    revisions = [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()]

    assert max(revisions) == HEAD
    assert revisions == sorted(revisions, reverse=True)  # so that they can be compared


async def test_d10_nodes_that_start_at_once_migrate_once(postgres_url: str) -> None:
    async def start() -> bool:
        async with open_database(settings(postgres_url)) as database:
            return await migrate(database)

    assert any(await asyncio.gather(*(start() for _ in range(4))))
    async with opened(postgres_url) as scene:
        assert (await scene.ask()).run_id


async def test_d10_the_version_before_goes_on_with_newer_tables(database_url: str) -> None:
    async with opened(database_url) as scene:
        newer = text("UPDATE alembic_version SET version_num = '9999'")
        await scene.database.transact(lambda connection: connection.execute(newer))
        assert not await migrate(scene.database)
        assert (await scene.ask()).run_id


DIES_AFTER_FOUR_TABLES = """
import asyncio, os, signal, sys
from sqlalchemy import Table, event
from gateway.store.database import open_database
from gateway.store.migrate import migrate, upgrade
from gateway.store.settings import DatabaseSettings

made = []

def count_or_die(table, *_, **__):
    made.append(table)
    if len(made) == 4:
        os.kill(os.getpid(), signal.SIGKILL)

event.listen(Table, "after_create", count_or_die)

async def main():
    async with open_database(DatabaseSettings.model_validate({"url": sys.argv[1]})) as database:
        await (migrate(database) if sys.argv[2] == "new" else database.transact(upgrade))

asyncio.run(main())
"""


@pytest.mark.parametrize("way", ["new", "upgrade"])
async def test_d10_killed_in_the_middle_nothing_has_happened(database_url: str, way: str) -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", DIES_AFTER_FOUR_TABLES, database_url, way)
    assert await child.wait() == -signal.SIGKILL
    async with open_database(settings(database_url)) as database:
        assert await look(database, lambda connection: inspect(connection).get_table_names()) == []
        assert await migrate(database)
        assert await look(database, differences) == []
