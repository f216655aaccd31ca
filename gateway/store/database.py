"""The database as the rest of the store sees it: a clock, readers, and writers that commit in groups.

All that differs between SQLite and PostgreSQL outside of SQL is here. On SQLite one connection writes, and all kinds
of transactions share its commits; on PostgreSQL each kind has a connection of its own, so that lock orders never mix.
"""

import asyncio
import contextlib
import fcntl
import os
import re
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.core.errors import Unavailable
from gateway.store.acts import Acted, on_record, present_act
from gateway.store.clock import Clock, database_now
from gateway.store.faults import Fault, classify, to_caller
from gateway.store.settings import DatabaseSettings
from gateway.store.transactor import LoopTransactor, T, ThreadTransactor, Transactor
from gateway.store.writer import A, R, Transaction, Writer

CHANNEL = "gateway"
MAX_ANNOUNCED = 8000  # bytes
_LAST_NUMBER = "SELECT max(number) FROM (SELECT max(changed) AS number FROM runs UNION SELECT max(changed) FROM events)"
_SEVERAL_HOSTS = re.compile(
    r"(?P<before>postgres(ql)?://([^/@?]*@)?)(?P<hosts>[^/@?]*,[^/@?]*)(?P<path>/[^?]*)\??(?P<query>.*)"
)
PATIENCE = 5.0  # seconds in which a database server may restart; a full or broken disk does not mend itself in them
_NONE = 0.0
COMMAND_TIMEOUT = 10
MIN_ROOM = 2**20  # bytes
IDLE_TIMEOUT = 5  # within a transaction; pgbouncer has its own setting for that, and refuses ours


class DatabaseInUse(Exception):  # noqa: N818 - the name says what is wrong
    """Another process owns the SQLite file."""


class Database:
    """Open with `open_database`; everything else in the store takes it as its first argument.

    `on_commit` is told of each commit how many requests shared it.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        self.url = driver_url(settings.url.get_secret_value())
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.clock = Clock()
        self.on_commit: Callable[[int], None] = lambda _: None
        self._transactor = self._open_transactor()
        self._reader = self._open_reader()  # so that no number of readers keeps a commit or a lease waiting
        self._opened = self._inode()
        self._writers: dict[Transaction[Any, Any] | None, Writer] = {}

    def now(self) -> datetime:
        return self.clock.now()

    async def follow_clock(self) -> None:
        """Reads the database's clock anew."""
        async with self.read() as connection:
            asked = time.monotonic()
            database_time = (await connection.execute(select(database_now()))).scalar_one()
            self.clock.follow(database_time, asked, time.monotonic())

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection to look at what is committed, and to change nothing. Raises `Unavailable`."""
        try:
            async with self._reader.connect() as connection:
                yield connection
        except Exception as error:
            if classify(error) is Fault.REQUEST:
                raise
            raise to_caller(error) from error

    async def commit(self, transaction: Transaction[A, R], request: A) -> R:
        """Hands a request to its writer; returns once it is committed, and its act on record. Raises `Unavailable`."""
        act = present_act()
        if act is None:
            return await self._hand_in(transaction, request)
        return await self._hand_in(on_record(transaction), Acted(request, act))

    async def _hand_in(self, transaction: Transaction[A, R], request: A) -> R:
        kind = None if self.is_sqlite else transaction
        if kind not in self._writers:
            patience = _NONE if self.is_sqlite else PATIENCE
            self._writers[kind] = Writer(self._transactor, self.clock, patience, self._committed)
        return await self._writers[kind].commit(transaction, request)

    def _committed(self, requests: int) -> None:
        self.on_commit(requests)

    def _check_file(self) -> None:
        """What was committed to a file that has been moved or deleted is gone with it."""
        if self._inode() != self._opened:
            raise FileNotFoundError(f"{self.url.database} was moved or deleted")

    def check_room(self) -> None:
        """Raises `Unavailable` on a disk so full that an event may not fit, even if something small still does."""
        if self.is_sqlite and shutil.disk_usage(Path(self.url.database or "").resolve().parent).free < MIN_ROOM:
            raise Unavailable("the disk is full")

    def _inode(self) -> int | None:
        if not self.is_sqlite:
            return None
        try:
            return os.stat(self.url.database or "").st_ino  # noqa: PTH116 - half the time of a `Path`, for every commit
        except FileNotFoundError:
            return None

    async def transact(self, transaction: Callable[[Connection], T]) -> T:
        """Carries out one transaction by itself, for what does not go together with others, and takes its time."""
        if self.is_sqlite:
            return await self._transactor.run(transaction)
        patient = LoopTransactor(_postgresql_engine(self.settings, self.url, write=True, patient=True))
        try:
            return await patient.run(transaction)
        finally:
            await patient.close()

    async def between_commits(self, act: Callable[[], None]) -> None:
        """On SQLite: does something with the file while nothing is written to it."""
        if isinstance(self._transactor, ThreadTransactor):
            await self._transactor.between(act)

    def _open_transactor(self) -> Transactor:
        if self.is_sqlite:
            return ThreadTransactor(
                _configured(create_engine(**_sqlite(self.url, "pysqlite", 1)), write=True), self._check_file
            )
        return LoopTransactor(_postgresql_engine(self.settings, self.url, write=True))

    def _open_reader(self) -> AsyncEngine:
        if not self.is_sqlite:
            return _postgresql_engine(self.settings, self.url, write=False)
        engine = create_async_engine(**_sqlite(self.url, "aiosqlite", 4))
        _configured(engine.sync_engine, write=False)
        return engine

    async def close(self) -> None:
        for writer in self._writers.values():
            await writer.close()
        await self._reader.dispose()
        await self._transactor.close()

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
    url = driver_url(settings.url.get_secret_value())
    with _owned(url) if url.get_backend_name() == "sqlite" else contextlib.nullcontext():
        database = Database(settings)
        try:
            await database.follow_clock()
            yield database
        finally:
            await database.close()


def notify(connection: Connection, payload: str) -> None:
    """Announces something to the other nodes once this transaction commits; one node alone needs no telling.

    PostgreSQL refuses what is too long: that the other nodes find by looking.
    """
    if connection.dialect.name == "postgresql" and len(payload) < MAX_ANNOUNCED:
        connection.execute(text("SELECT pg_notify(:channel, :payload)"), {"channel": CHANNEL, "payload": payload})


def driver_url(url: str) -> URL:
    """The address as SQLAlchemy needs it. Raises `ValueError` for that of another database."""
    parsed = make_url(_SEVERAL_HOSTS.sub(_as_parameters, url))
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
    if parsed.drivername not in drivers:
        raise ValueError(f"expected sqlite:///FILE or postgresql://…, got {parsed.drivername}://")
    return parsed.set(drivername=drivers[parsed.drivername])


def _as_parameters(hosts: re.Match[str]) -> str:
    """SQLAlchemy takes several hosts as parameters, and all of them with their ports."""
    listed = "&".join(f"host={host if ':' in host else f'{host}:5432'}" for host in hosts["hosts"].split(","))
    return f"{hosts['before']}{hosts['path']}?{listed}&{hosts['query']}"


def _sqlite(url: URL, driver: str, connections: int) -> dict[str, Any]:
    """The arguments of an engine on a file that exists: one that was deleted is not replaced by an empty one."""
    existing = url.set(database=f"file:{quote(url.database or '')}", query={"mode": "rw", "uri": "true"})
    pool = {"pool_size": connections, "max_overflow": 0, "pool_timeout": COMMAND_TIMEOUT}
    return {"url": existing.set(drivername=f"sqlite+{driver}"), **pool}


def _configured(engine: Engine, *, write: bool) -> Engine:
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN is deferred, and loses updates
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 5000")
        if write:
            cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL" if write else "PRAGMA query_only = ON")
        cursor.close()

    event.listen(engine, "connect", configure)
    begin = "BEGIN IMMEDIATE" if write else "BEGIN"
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    if write:
        _number_transactions(engine)
    return engine


def _number_transactions(engine: Engine) -> None:
    """Gives SQLite the function of PostgreSQL that numbers transactions; here later ones always have larger numbers."""
    latest = 0

    def connected(connection: Any, _: Any) -> None:
        nonlocal latest
        with contextlib.suppress(sqlite3.OperationalError):  # before the tables are made, there is no last one
            [(stored,)] = connection.execute(_LAST_NUMBER)
            latest = max(latest, stored or 0)
        connection.create_function("txid_current", 0, lambda: latest)

    def begun(_: Any) -> None:
        nonlocal latest
        latest = max(latest + 1, time.time_ns() // 1000)  # what was pruned, and so forgotten, had smaller ones

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)


def _postgresql_engine(settings: DatabaseSettings, url: URL, *, write: bool, patient: bool = False) -> AsyncEngine:
    unprepared = {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
    # a node that hangs, or is gone without a word, must not keep its locks from the others
    impatient = {"server_settings": {"idle_in_transaction_session_timeout": str(1000 * IDLE_TIMEOUT)}}
    return create_async_engine(
        url,
        pool_size=5,
        max_overflow=15,
        pool_timeout=COMMAND_TIMEOUT,
        pool_pre_ping=not write,  # a commit is repeated after a restart of the server, a read is not
        connect_args={
            "timeout": 5,
            "command_timeout": None if patient else COMMAND_TIMEOUT,
            "target_session_attrs": "read-write",  # not a standby, wherever a name or a proxy may lead
            **(unprepared if settings.pgbouncer else impatient),
        },
        json_serializer=orjson.dumps,
    )


@contextlib.contextmanager
def _owned(url: URL) -> Iterator[None]:
    """Holds a lock beside the SQLite file, which is made if there is none.

    Locking the file itself would disturb SQLite's own locks.
    """
    if not url.database or url.database == ":memory:":
        raise ValueError("sqlite needs a file: sqlite:///gateway.db")
    path = Path(url.database).resolve()
    try:
        lock = Path(f"{path}.lock").open("w")  # noqa: SIM115 - closed below, after what may fail here
        path.touch(mode=0o600)  # events may hold secrets
    except OSError as error:
        raise Unavailable(f"cannot write to {error.filename}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatabaseInUse(f"{url.database} belongs to a gateway that is running") from None
        yield
