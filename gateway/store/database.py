"""The database as the rest of the store sees it: a clock, readers, and writers that commit in groups.

All that differs between SQLite and PostgreSQL outside of SQL is here. On SQLite one connection writes, and all kinds
of transactions share its commits; on PostgreSQL each kind has a connection of its own, so that lock orders never mix.
"""

import asyncio
import contextlib
import fcntl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL, event, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.core.errors import Unavailable
from gateway.store.clock import Clock, database_now
from gateway.store.settings import DatabaseSettings
from gateway.store.writer import A, R, Transaction, Writer

CHANNEL = "gateway"
COMMAND_TIMEOUT = 10


class DatabaseInUse(Exception):  # noqa: N818 - the name says what is wrong
    """Another process owns the SQLite file."""


class Database:
    """Open with `open_database`; everything else in the store takes it as its first argument."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        self.url = _driver_url(settings.url.get_secret_value())
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.clock = Clock()
        self._reader = (
            _sqlite_engine(self.url, write=False) if self.is_sqlite else _postgresql_engine(settings, self.url)
        )
        self.engine = _sqlite_engine(self.url, write=True) if self.is_sqlite else self._reader
        self._opened: int | None = None
        self._writers: dict[Transaction[Any, Any] | None, Writer] = {}

    def now(self) -> datetime:
        return self.clock.now()

    async def follow_clock(self) -> None:
        """Reads the database's clock anew."""
        async with self.read() as connection:
            asked = time.monotonic()
            database_time = (await connection.execute(select(database_now()))).scalar_one()
            self.clock.follow(database_time, asked, time.monotonic())

    def opened(self) -> None:
        """Remembers which file it is that was opened."""
        self._opened = self._inode() if self.is_sqlite else None

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one moment and changes nothing."""
        async with self._reader.connect() as connection:
            yield connection

    async def commit(self, transaction: Transaction[A, R], request: A) -> R:
        """Hands a request to its writer; returns once it is committed. Raises `Unavailable`."""
        kind = None if self.is_sqlite else transaction
        if kind not in self._writers:
            self._writers[kind] = Writer(self.engine, self.clock)
        return await self._writers[kind].commit(transaction, request)

    def check_file(self) -> None:
        """Raises `Unavailable` where the SQLite file is not the one that was opened: commits would go nowhere."""
        if self.is_sqlite and self._inode() != self._opened:
            raise Unavailable(f"{self.url.database} was moved or deleted")

    def _inode(self) -> int | None:
        try:
            return Path(self.url.database or "").stat().st_ino
        except FileNotFoundError:
            return None

    async def close(self) -> None:
        for writer in self._writers.values():
            await writer.close()
        await self._reader.dispose()
        await self.engine.dispose()

    @property
    def announces(self) -> bool:
        """Whether nodes hear of each other's commits at once; otherwise they find out by looking."""
        return not self.is_sqlite and not self.settings.pgbouncer

    async def listen(self, woken: Callable[[str], None]) -> None:
        """Calls `woken` for what other nodes announce, until the connection is lost; first of all with nothing."""
        async with self._reader.connect() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            lost = asyncio.Event()
            raw.add_termination_listener(lambda _: lost.set())
            await raw.add_listener(CHANNEL, lambda _connection, _pid, _channel, payload: woken(payload))
            woken("")
            await lost.wait()


@contextlib.asynccontextmanager
async def open_database(settings: DatabaseSettings) -> AsyncIterator[Database]:
    """The database, its clock followed; on SQLite under an exclusive lock of the file.

    Raises `DatabaseInUse` where another process holds that lock, `Unavailable` where there is no database.
    """
    database = Database(settings)
    with _owned(database.url) if database.is_sqlite else contextlib.nullcontext():
        try:
            await database.follow_clock()
            database.opened()
            yield database
        finally:
            await database.close()


async def notify(connection: AsyncConnection, payload: str) -> None:
    """Announces something to the other nodes once this transaction commits; one node alone needs no telling."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_notify(:channel, :payload)"), {"channel": CHANNEL, "payload": payload})


async def weaknesses(database: Database) -> list[str]:
    """Settings of the server under which a commit may be lost, in words."""
    if database.is_sqlite:
        return []
    async with database.read() as connection:
        rows = await connection.execute(
            text("SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit')")
        )
        return [f"{name}={setting}: a commit may be lost" for name, setting in rows if setting in ("off", "local")]


def _driver_url(url: str) -> URL:
    parsed = make_url(url)
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
    if parsed.drivername not in drivers:
        raise ValueError(f"expected sqlite:///FILE or postgresql://…, got {parsed.drivername}://")
    return parsed.set(drivername=drivers[parsed.drivername])


def _sqlite_engine(url: URL, *, write: bool) -> AsyncEngine:
    engine = create_async_engine(url, pool_size=1 if write else 4, max_overflow=0)

    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN is deferred, and loses updates
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 5000")
        if write:
            cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL" if write else "PRAGMA query_only = ON")
        cursor.close()

    event.listen(engine.sync_engine, "connect", configure)
    begin = "BEGIN IMMEDIATE" if write else "BEGIN"
    event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _postgresql_engine(settings: DatabaseSettings, url: URL) -> AsyncEngine:
    unprepared = {"statement_cache_size": 0, "prepared_statement_cache_size": 0} if settings.pgbouncer else {}
    return create_async_engine(
        url,
        pool_size=10,
        max_overflow=5,
        pool_timeout=COMMAND_TIMEOUT,
        connect_args={"timeout": 5, "command_timeout": COMMAND_TIMEOUT, **unprepared},
        json_serializer=orjson.dumps,
    )


@contextlib.contextmanager
def _owned(url: URL) -> Iterator[None]:
    """Holds a lock beside the SQLite file: locking the file itself would disturb SQLite's own locks."""
    if not url.database or url.database == ":memory:":
        raise ValueError("sqlite needs a file: sqlite:///gateway.db")
    path = Path(f"{url.database}.lock")
    try:
        lock = path.open("w")
    except OSError as error:
        raise Unavailable(f"cannot write to {path}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatabaseInUse(f"{url.database} belongs to a gateway that is running") from None
        yield
