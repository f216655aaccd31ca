"""Brings the tables to what this version of the code expects. Migrations only expand, so the version before goes on."""

from importlib.resources import files
from typing import Any

import structlog
from sqlalchemy import Connection, inspect, text

from gateway.store.database import Database
from gateway.store.faults import Fault, classify, to_caller, told
from gateway.store.schema import metadata

log = structlog.get_logger(__name__)

HEAD = "0007"
_LOCK = 0x67617465776179  # "gateway", for PostgreSQL's advisory locks


async def migrate(database: Database) -> bool:
    """Whether anything had to be done. Of several nodes that start at once one migrates, and the others wait.

    All of it is one transaction: killed in the middle of it, nothing has happened. Nodes of the version before may be
    at work meanwhile: of those that wait for each other's locks one is turned away, and that may be us. Raises
    `Unavailable`.
    """
    async with database.read() as connection:
        version = await connection.run_sync(_version)
    if version is not None and version >= HEAD:  # a newer version of the code may have been here
        return False
    while True:
        try:
            await database.transact(_bring_up)
        except Exception as error:
            if classify(error) is not Fault.CONFLICT:
                raise to_caller(error) from error
            log.warning("store.migrating_again", error=told(error))
        else:
            return True


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _bring_up(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    version = _version(connection)
    if version is None:
        _create(connection)
    elif version < HEAD:
        upgrade(connection)


def _create(connection: Connection) -> None:
    """All tables of a new database at once; a test holds them to what the migrations make."""
    metadata.create_all(connection)
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version VALUES (:version)"), {"version": HEAD})


def upgrade(connection: Connection) -> None:
    """Applies the migrations that are missing; on an empty database, all of them."""
    # alembic takes a quarter of a second and 9 MiB to load, and most starts do not need it
    from alembic.config import Config  # noqa: PLC0415
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(files("gateway.store") / "migrations"))
    script = ScriptDirectory.from_config(config)

    def missing(revision: Any, _: Any) -> Any:
        return script._upgrade_revs(HEAD, revision)  # noqa: SLF001 - what alembic's own `upgrade` command calls

    with EnvironmentContext(config, script, fn=missing) as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()
