"""Settings of the database under which a commit may be lost are told, and no others."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.store import weaknesses as weaknesses_module
from gateway.store.database import open_database
from gateway.store.settings import DatabaseSettings
from gateway.store.weaknesses import weaknesses
from tests.faults.disk import small_disk
from tests.servers.postgres import PostgreSQL
from tests.waiting import until

NONE: list[str] = []
TRAILING = "commits do not wait for standbys: one that takes over may lack the latest (synchronous_standby_names)"


async def told(url: str) -> list[str]:
    async with open_database(DatabaseSettings.model_validate({"url": url})) as database:
        return await weaknesses(database)


@pytest.mark.parametrize(
    ("setting", "value", "weak"),
    [
        ("synchronous_commit", "off", ["synchronous_commit=off: a crash of the server may lose the latest commits"]),
        ("synchronous_commit", "local", []),
        ("synchronous_commit", "remote_apply", []),
    ],
)
async def test_of_a_server_alone(
    postgres: PostgreSQL, postgres_url: str, setting: str, value: str, weak: list[str]
) -> None:
    name = postgres_url.rsplit("/", 1)[1]
    assert await told(postgres_url) == []
    postgres.execute(f'ALTER DATABASE "{name}" SET {setting} = {value}')

    assert await told(postgres_url) == weak


async def test_of_a_server_that_trusts_the_machine() -> None:
    with closing(PostgreSQL(fsync=False)) as careless:
        careless.start()
        careless.set("full_page_writes", "off")
        weak = await told(careless.url)

    assert [weakness.partition(":")[0] for weakness in weak] == ["fsync=off", "full_page_writes=off"]


@pytest.fixture(scope="module")
def primary() -> Iterator[PostgreSQL]:
    with closing(PostgreSQL()) as primary:
        primary.start()
        with closing(PostgreSQL(primary=primary)) as standby:
            standby.start()
            yield primary


async def test_of_a_server_with_a_standby(primary: PostgreSQL) -> None:
    """Commits wait for it where it is named, and synchronous_commit is not less than that."""
    assert await told(primary.url) == [TRAILING]
    primary.set("synchronous_standby_names", "*")

    async def weak() -> list[str]:
        return await told(primary.url)

    await until(weak, NONE, "weaknesses")
    primary.set("synchronous_commit", "local")
    await until(weak, [TRAILING], "weaknesses")


async def test_of_a_file_in_memory(tmp_path: Path) -> None:
    with small_disk(tmp_path / "memory", size="8m") as disk:
        assert await told(f"sqlite:///{disk.folder}/gateway.db") == [
            "the file is in memory (tmpfs): it is gone with the machine"
        ]


@pytest.mark.parametrize(
    ("kind", "weak"),
    [
        ("nfs4", ["the file is on a network file system (nfs4): its locks and its cache may damage it"]),
        ("ext4", []),
        (None, []),
    ],
)
async def test_of_a_file_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str | None, weak: list[str]
) -> None:
    monkeypatch.setattr(weaknesses_module, "file_system", lambda _: kind)

    assert await told(f"sqlite:///{tmp_path}/gateway.db") == weak
