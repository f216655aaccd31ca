"""P04: a version starts on the tables of one before it, which has left runs in flight and may still be writing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.core.ids import new_id
from gateway.store import migrate
from gateway.store.database import Database, open_database
from gateway.store.settings import DatabaseSettings
from tests.faults.ledger import Ledger
from tests.gateway_client import GatewayClient
from tests.gateways import configuration, nodes_of, running
from tests.target_server import TargetServer
from tests.waiting import until

FIRST, BEFORE = "0001", f"{int(migrate.HEAD) - 1:04}"
SECOND = 1_000_000  # instants are stored in microseconds
IN_FLIGHT = 8
PAUSE = 0.02

# What the first version wrote: every later one must understand it, and let it be written.
_EVENT = text("""
INSERT INTO events (id, source, type, time, received_at, body, details, decisions, verbs, deliveries)
VALUES (:id, 'hook', 'sent', :now, :now, :payload, :details, :decisions, 'enqueued', 1)
""")
_RUN = text("""
INSERT INTO runs (id, state, target, "trigger", payload, priority, claimable, created_at, due_at, started_at,
    attempt_started_at, attempt, failures, losses, node_id, cancelling, event_id, events, size, origin_event_id, depth)
VALUES (:run_id, :state, 'sync', 'every', :payload, 0, :claimable, :now, :now, :started_at, :started_at, :attempt,
    :failures, 0, :node_id, false, :id, 1, 20, :id, 0)
""")
_LOCK_EVENTS = text("LOCK TABLE events IN ROW EXCLUSIVE MODE")
_WAITING = text("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")


class OldVersion:
    """Writes runs by the statements of the first version; on SQLite only while nobody else has the file."""

    def __init__(self) -> None:
        self.written: dict[str, None] = {}
        self._dead_node = new_id()

    def leave_in_flight(self, connection: Connection) -> None:
        for state in ("queued", "running", "retrying"):
            for _ in range(IN_FLIGHT):
                self.write(connection, state)

    def write(self, connection: Connection, state: str) -> None:
        name, now = f"event-{len(self.written)}", int(datetime.now(UTC).timestamp() * SECOND)  # noqa: TID251 - a date that was
        is_new, is_running = state == "queued", state == "running"
        values = {
            "id": new_id(),
            "run_id": new_id(),
            "state": state,
            "now": now,
            "payload": b'{"id": "%s"}' % name.encode(),
            "details": b"{}",
            "decisions": b"[]",
            "claimable": not is_running,
            "started_at": None if is_new else now,
            "attempt": 0 if is_new else 1,
            "failures": int(state == "retrying"),
            "node_id": self._dead_node if is_running else None,
        }
        connection.execute(_EVENT, values)
        connection.execute(_RUN, values)
        self.written[name] = None

    @asynccontextmanager
    async def goes_on(self, url: str) -> AsyncIterator[None]:
        """Until the block is left; the tables change under it."""
        writing = asyncio.create_task(self._write_on(url))
        yield
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing

    async def _write_on(self, url: str) -> None:
        engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))
        try:
            while True:
                with suppress(DBAPIError):  # every version tries again what a deadlock has turned away
                    async with engine.begin() as connection:
                        await connection.run_sync(self.write, "queued")
                await asyncio.sleep(PAUSE)
        finally:
            await engine.dispose()


@asynccontextmanager
async def at(revision: str, url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """A database as the version of that revision left it."""
    async with open_database(DatabaseSettings.model_validate({"url": url})) as database:
        with monkeypatch.context() as patched:
            patched.setattr(migrate, "HEAD", revision)
            await database.transact(migrate.upgrade)
        yield database


@pytest.mark.parametrize("revision", [FIRST, BEFORE])
async def test_p04_what_an_older_version_left_in_flight_is_done(
    tmp_path: Path, target: TargetServer, database_url: str, revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = OldVersion()
    async with at(revision, database_url, monkeypatch) as database:
        await database.transact(old.leave_in_flight)
    [node] = nodes_of(configuration(target, database_url, calls={"concurrency": IN_FLIGHT}), tmp_path)
    async with running(node), GatewayClient(node.url) as client:
        await Ledger(old.written, target).check(client, repeatable=0)

    assert [line["event"] for line in node.log_lines()].count("store.migrated") == 1


async def test_p04_an_older_version_goes_on_writing_while_a_newer_one_migrates(
    tmp_path: Path, target: TargetServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = OldVersion()
    async with at(FIRST, postgres_url, monkeypatch):
        pass
    nodes = nodes_of(configuration(target, postgres_url, calls={"concurrency": IN_FLIGHT}), tmp_path, 2)
    async with old.goes_on(postgres_url), running(*nodes):
        await target.wait_for_calls(50)
    async with running(nodes[0]), GatewayClient(nodes[0].url) as client:
        await Ledger(old.written, target).check(client, repeatable=2 * IN_FLIGHT)


async def test_p04_a_migration_that_a_deadlock_has_turned_away_begins_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = OldVersion()
    engine = create_async_engine(postgres_url.replace("postgresql:", "postgresql+asyncpg:"))
    async with at(FIRST, postgres_url, monkeypatch) as database, engine.begin() as other:
        await other.execute(_LOCK_EVENTS)
        migrating = asyncio.create_task(migrate.migrate(database))
        await until(partial(_waits_for_a_lock, database), True, "the migration waits")
        await other.run_sync(old.write, "queued")
        await other.commit()

        assert await migrating
    await engine.dispose()


async def _waits_for_a_lock(database: Database) -> bool:
    async with database.read() as connection:
        return bool(await connection.scalar(_WAITING))
