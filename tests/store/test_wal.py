"""D02: SQLite's log stays short, though there is always somebody who reads."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.store import wal
from gateway.store.wal import shorten_log
from tests.store.scene import Scene, opened, request

KIBIBYTE = 2**10
STALLED = 1.0  # seconds


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(wal, "LONG", 100 * KIBIBYTE)
    return tmp_path / "gateway.db-wal"


def is_long(log: Path) -> bool:
    return log.stat().st_size > wal.LONG


@asynccontextmanager
async def at_work(folder: Path) -> AsyncIterator[Scene]:
    async with opened(f"sqlite:///{folder}/gateway.db") as scene:
        await scene.accept(request(None), body=200 * KIBIBYTE * b"x")
        yield scene


@asynccontextmanager
async def always_read(scene: Scene) -> AsyncIterator[None]:
    """Some begin before others end."""

    async def read() -> None:
        while True:
            async with scene.database.read() as connection:
                for _ in range(3):
                    await connection.execute(text("SELECT count(*) FROM events"))

    readers = [asyncio.create_task(read()) for _ in range(4)]
    yield
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)


async def test_d02_it_is_shortened_between_readers(tmp_path: Path, log: Path) -> None:
    async with at_work(tmp_path) as scene, always_read(scene):
        assert is_long(log)
        await shorten_log(scene.database)

        assert not is_long(log)
        await scene.ask()


async def test_d02_a_reader_that_stays_stalls_nobody(tmp_path: Path, log: Path) -> None:
    """Neither is what it reads taken from it; once it has gone, the log is short again."""
    async with at_work(tmp_path) as scene:
        with closing(sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            [(before,)] = reader.execute("SELECT count(*) FROM events")
            await scene.ask()
            began = time.monotonic()
            await asyncio.gather(shorten_log(scene.database), scene.ask())
            assert time.monotonic() - began < STALLED
            assert list(reader.execute("SELECT count(*) FROM events")) == [(before,)]
        await shorten_log(scene.database)

        assert not is_long(log)


async def test_a_short_log_and_none_are_left_alone(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/gateway.db") as scene:
        await scene.ask()
        await shorten_log(scene.database)
        log = tmp_path / "gateway.db-wal"
        assert log.stat().st_size > 0
        log.unlink()
        await shorten_log(scene.database)


async def test_postgresql_has_none(postgres_scene: Scene) -> None:
    await shorten_log(postgres_scene.database)
