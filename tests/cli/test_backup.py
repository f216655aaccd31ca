"""A copy of the database while the gateway goes on."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from gateway.store import backup
from tests.cli.conftest import Run
from tests.store.scene import opened


@pytest.fixture
async def database(tmp_path: Path, config: Path) -> Path:
    """With three events in it."""
    async with opened(f"sqlite:///{tmp_path}/gateway.db") as scene:
        for _ in range(3):
            await scene.ask(None)
    return tmp_path / "gateway.db"


def events_in(file: Path) -> int:
    with closing(sqlite3.connect(file)) as copy:
        [(number,)] = copy.execute("SELECT count(*) FROM events")
    return int(number)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"config.yaml", "gateway.db", "gateway.db.lock"}


def test_it_is_a_database_of_one_file(gateway: Run, database: Path, tmp_path: Path) -> None:
    result = gateway("backup", "copy.db")
    copy = tmp_path / "copy.db"

    assert result.exit_code == 0
    assert result.stdout.startswith("copy.db is a checked copy of the database: ")
    assert events_in(copy) == 3
    assert names(tmp_path) == {"copy.db"}
    assert copy.stat().st_mode & 0o777 == 0o600


def test_its_size_as_json(gateway: Run, database: Path, tmp_path: Path) -> None:
    told = orjson.loads(gateway("backup", "copy.db", "--json").stdout)

    assert told == {"file": "copy.db", "bytes": (tmp_path / "copy.db").stat().st_size}


async def test_d02_the_owner_of_the_file_goes_on_writing(gateway: Run, config: Path, tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/gateway.db") as scene:
        await scene.ask(None)
        assert gateway("backup", "copy.db").exit_code == 0
        await scene.ask(None)

    assert events_in(tmp_path / "copy.db") == 1
    assert events_in(tmp_path / "gateway.db") == 2


async def test_a_copy_that_is_put_in_place_goes_on(gateway: Run, database: Path, tmp_path: Path) -> None:
    gateway("backup", "copy.db")
    os.replace(tmp_path / "copy.db", database)  # noqa: PTH105 - in an asynchronous test
    async with opened(f"sqlite:///{database}") as scene:
        assert await scene.states() == ["queued"] * 3
        await scene.ask(None)


def test_nothing_is_replaced(gateway: Run, database: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("precious")
    result = gateway("backup", "copy.db")

    assert result.exit_code == 2
    assert "copy.db exists already" in result.stderr
    assert (tmp_path / "copy.db").read_text() == "precious"


def test_nor_is_what_appears_meanwhile(
    gateway: Run, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = backup._check

    def checked(part: Path) -> None:
        check(part)
        (tmp_path / "copy.db").write_text("precious")

    monkeypatch.setattr(backup, "_check", checked)

    assert gateway("backup", "copy.db").exit_code == 2
    assert (tmp_path / "copy.db").read_text() == "precious"


def test_a_damaged_database_is_no_backup(gateway: Run, database: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        [(page,)] = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'events'")
    with database.open("rb+") as file:
        file.seek(4096 * (page - 1))
        file.write(b"\xff" * 64)
    result = gateway("backup", "copy.db")

    assert result.exit_code == 2
    assert "No backup: " in result.stderr
    assert "copy.db" not in names(tmp_path)


@pytest.mark.parametrize("to", ["missing/copy.db", "."])
def test_where_nothing_can_be_written(gateway: Run, database: Path, tmp_path: Path, to: str) -> None:
    assert gateway("backup", to).exit_code == 2
    assert names(tmp_path) == set()


def test_where_there_is_no_database(gateway: Run, config: Path, tmp_path: Path) -> None:
    result = gateway("backup", "copy.db")

    assert result.exit_code == 4
    assert "No database: " in result.stderr
    assert names(tmp_path) == set()


def test_what_is_no_database(gateway: Run, config: Path, tmp_path: Path) -> None:
    (tmp_path / "gateway.db").write_text("no database at all, but long enough to be read as one" * 100)

    assert gateway("backup", "copy.db").exit_code == 4


def test_a_full_disk_leaves_nothing(
    gateway: Run, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(backup, "_copy", fail)
    result = gateway("backup", "copy.db")

    assert result.exit_code == 2
    assert "disk is full" in result.stderr
    assert names(tmp_path) == set()


def test_of_postgresql_there_are_better_ways(gateway: Run, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY__DATABASE__URL", "postgresql://user:hunter2@db/gateway")
    result = gateway("backup", "copy.sql")

    assert result.exit_code == 2
    assert "pg_dump" in result.stderr
    assert "hunter2" not in result.stderr
