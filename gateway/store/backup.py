"""Backup: a copy of a SQLite database as it is at one moment, made while a gateway goes on writing to it."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from gateway.core.errors import Unavailable
from gateway.store.database import driver_url
from gateway.store.settings import DatabaseSettings

PATIENCE = 30.0
"""Seconds in which a gateway that starts or ends may hold the whole file."""


class NoBackup(Exception):  # noqa: N818 - the name says what there is
    """Nothing was written, and why."""


def back_up(settings: DatabaseSettings, to: Path) -> int:
    """Writes a copy that has been checked, and returns its size in bytes. Raises `NoBackup`, `Unavailable`.

    There is a file of that name only once it is whole, and none is ever replaced.
    """
    url = driver_url(settings.url.get_secret_value())
    if url.get_backend_name() != "sqlite":
        raise NoBackup("PostgreSQL has tools of its own for that, such as pg_dump --format=custom")
    if to.exists():
        raise NoBackup(f"{to} exists already")
    try:
        with _beside(to) as part:
            _copy(Path(url.database or ""), part)
            _check(part)
            os.link(part, to)
            return to.stat().st_size
    except (OSError, sqlite3.DatabaseError) as error:
        raise NoBackup(f"{to} cannot be written: {error}") from error


@contextlib.contextmanager
def _beside(to: Path) -> Iterator[Path]:
    """An empty file that only its owner reads, as events may hold secrets; gone at the end."""
    part = to.with_name(f"{to.name}.part-{os.getpid()}")
    part.touch(mode=0o600, exist_ok=False)
    try:
        yield part
    finally:
        part.unlink()


def _copy(database: Path, part: Path) -> None:
    """In one step: that is one view of the database, and keeps no one from writing."""
    with _opened(database) as source, contextlib.closing(sqlite3.connect(part)) as target:
        source.backup(target, pages=-1)
        target.execute("PRAGMA journal_mode = DELETE")  # so that it is one file


@contextlib.contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    try:
        source = sqlite3.connect(f"file:{quote(str(database))}?mode=rw", uri=True, timeout=PATIENCE)
        source.execute("SELECT count(*) FROM sqlite_schema")
    except sqlite3.DatabaseError as error:
        raise Unavailable(f"{database}: {error}") from error
    with contextlib.closing(source):
        yield source


def _check(part: Path) -> None:
    with contextlib.closing(sqlite3.connect(part)) as copy:
        found = [text for (text,) in copy.execute("PRAGMA integrity_check(10)")]
    if found != ["ok"]:
        raise NoBackup(f"the database is damaged: {'; '.join(found)}")
    with part.open("rb") as written:
        os.fsync(written.fileno())
