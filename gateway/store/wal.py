"""Keeps SQLite's write-ahead log short.

SQLite begins it anew when nobody reads from it for a moment. With many readers that moment never comes by itself.
"""

import sqlite3
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from gateway.store.database import Database

LONG = 16 * 2**20  # bytes; SQLite begins it anew at 4 MiB where nobody reads
WAITS = 0.2  # seconds, for those who are reading; nobody writes meanwhile


async def shorten_log(database: Database) -> None:
    """Begins it anew if it is long, unless somebody reads for too long: then the next time will do."""
    file = database.url.database or ""
    if database.is_sqlite and _size(Path(f"{file}-wal")) > LONG:
        await database.between_commits(partial(_shorten, file))


def _size(log: Path) -> int:
    with suppress(FileNotFoundError):
        return log.stat().st_size
    return 0


def _shorten(file: str) -> None:
    with (
        suppress(sqlite3.OperationalError),  # whatever is wrong is told by those who write
        closing(sqlite3.connect(file, timeout=WAITS, isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
