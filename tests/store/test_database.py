"""The file or the server behind the store: owned by one, full, gone, damaged, or cut off in the middle of a commit."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from gateway.core.errors import Unavailable
from gateway.store.database import DatabaseInUse, driver_url, open_database
from gateway.store.leases import touch
from gateway.store.schema import events, runs
from gateway.store.settings import DatabaseSettings
from tests.store.scene import Scene, opened, request

REPOSITORY = Path(__file__).parents[2]
CALL = "import asyncio, sys; from tests.store.test_database import {0}; asyncio.run({0}(sys.argv[1]))"


def settings(url: str) -> DatabaseSettings:
    return DatabaseSettings.model_validate({"url": url})


def integrity(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
        return str(answer)


def mode(file: Path) -> int:
    return file.stat().st_mode & 0o777


def stored_ids(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM events")}


async def test_d01_a_second_process_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "gateway.db")
    async with opened(url):
        for name in (url, f"sqlite:///{link}"):
            with pytest.raises(DatabaseInUse):
                await open_and_close(name)
            second = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", CALL.format("open_and_close"), name), cwd=REPOSITORY, stderr=subprocess.PIPE
            )
            _, said = await second.communicate()
            assert b"belongs to a gateway that is running" in said
    await open_and_close(url)


async def test_only_its_owner_reads_a_new_database(tmp_path: Path) -> None:
    """What senders put into a body is stored as it is."""
    async with opened(f"sqlite:///{tmp_path}/gateway.db"):
        modes = {mode(tmp_path / f"gateway.db{part}") for part in ("", "-wal", "-shm")}

    assert modes == {0o600}


async def open_and_close(url: str) -> None:
    async with open_database(settings(url)):
        pass


def mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Three mebibytes of their own."""
    folder = tmp_path / "small"
    folder.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], check=False).returncode
    ):
        pytest.skip("NOT TESTED: a full disk needs the right to mount one")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_d03_a_full_disk_is_said_and_survived(small_disk: Path) -> None:
    async with opened(f"sqlite:///{small_disk}/gateway.db") as scene:
        large = 100_000 * b" "
        results = [await accepted_or_error(scene, large) for _ in range(60)]
        accepted = {one for one in results if isinstance(one, str)}
        refused = [one for one in results if isinstance(one, Unavailable)]
        assert len(accepted) + len(refused) == 60
        assert accepted
        assert refused[0].retry_after
        assert {row.id for row in await scene.rows(events)} == accepted  # reading goes on

        mount("-o", "remount,size=30m", small_disk)
        results = [await accepted_or_error(scene, large) for _ in range(20)]
        await touch(scene.database, scene.node.id)
        assert {row.id for row in await scene.rows(events)} == accepted | set(results)
    assert integrity(small_disk / "gateway.db") == "ok"


async def accepted_or_error(scene: Scene, body: bytes) -> str | Unavailable:
    try:
        return (await scene.accept(request(None), body=body)).event_id
    except Unavailable as error:
        return error


async def test_d05_a_disk_that_takes_no_writes(small_disk: Path) -> None:
    async with opened(f"sqlite:///{small_disk}/gateway.db") as scene:
        await scene.ask()
    mount("-o", "remount,ro", small_disk)
    with pytest.raises(Unavailable, match="cannot write"):
        await open_and_close(f"sqlite:///{small_disk}/gateway.db")
    mount("-o", "remount,rw", small_disk)
    async with opened(f"sqlite:///{small_disk}/gateway.db") as scene:
        assert len(await scene.rows(runs)) == 1


async def test_d05_a_deleted_file_takes_no_more_commits_and_no_new_one_appears(tmp_path: Path) -> None:
    file = tmp_path / "gateway.db"
    async with opened(f"sqlite:///{file}") as scene:
        await scene.ask()
        file.rename(tmp_path / "elsewhere.db")
        for _ in range(2):
            with pytest.raises(Unavailable):
                await scene.ask()
        with pytest.raises(Unavailable):
            await touch(scene.database, scene.node.id)
        await asyncio.gather(*(scene.rows(runs) for _ in range(8)), return_exceptions=True)
        assert not file.exists()


async def test_d05_a_file_that_was_replaced_is_not_the_same(tmp_path: Path) -> None:
    file = tmp_path / "gateway.db"
    async with opened(f"sqlite:///{file}") as scene:
        shutil.copy(file, tmp_path / "copy.db")
        (tmp_path / "copy.db").replace(file)
        with pytest.raises(Unavailable):
            await scene.ask()


@pytest.mark.parametrize("damage", [b"no database at all" * 1000, b""], ids=["overwritten", "first page"])
async def test_d05_a_corrupted_file_is_said(tmp_path: Path, damage: bytes) -> None:
    file = tmp_path / "gateway.db"
    async with opened(f"sqlite:///{file}") as scene:
        for _ in range(200):
            scene.later(request(None))
        await scene.accept_later()
    content = bytearray(file.read_bytes())
    if damage:
        content[:] = damage
    else:
        for page in range(1, len(content) // 4096):  # all but the first, which says that it is a database
            content[4096 * page : 4096 * page + 100] = os.urandom(100)
    file.write_bytes(content)

    with pytest.raises(Unavailable):
        async with opened(f"sqlite:///{file}") as scene:
            await scene.ask()
    assert file.read_bytes()[:4096] == bytes(content[:4096])


@pytest.mark.parametrize(
    "url", ["sqlite:////no/such/folder/gateway.db", "postgresql://nobody@127.0.0.1:9/none"], ids=["sqlite", "postgres"]
)
async def test_no_database(url: str) -> None:
    with pytest.raises(Unavailable):
        await open_and_close(url)


@pytest.mark.parametrize("url", ["sqlite:///:memory:", "sqlite:///"])
async def test_sqlite_needs_a_file(url: str) -> None:
    with pytest.raises(ValueError, match="needs a file"):
        await open_and_close(url)


async def accept_for_ever(url: str) -> None:
    """For a child process: says each id once it is accepted."""
    async with opened(url) as scene:

        async def send() -> None:
            while True:
                accepted = await scene.accept(request(None))
                print(accepted.event_id, flush=True)

        await asyncio.gather(*(send() for _ in range(8)))


@asynccontextmanager
async def sending_child(file: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, set[str]]]:
    """A process that accepts events, with what it has said so far."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CALL.format("accept_for_ever"), f"sqlite:///{file}"),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
    )
    said: set[str] = set()
    speaking = asyncio.Event()
    listening = asyncio.create_task(listen(child, said, speaking))
    await speaking.wait()
    yield child, said
    child.kill()
    await child.wait()
    await listening


async def listen(child: asyncio.subprocess.Process, said: set[str], speaking: asyncio.Event) -> None:
    assert child.stdout is not None
    async for line in child.stdout:
        if line.endswith(b"\n"):
            said.add(line.decode().strip())
            speaking.set()


async def test_d04_killed_during_commits_nothing_said_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "gateway.db"
    everything: set[str] = set()
    for _ in range(4):
        async with sending_child(file) as (_, said):
            await asyncio.sleep(0.2)
        everything |= said

    assert len(everything) > 50
    assert integrity(file) == "ok"
    assert everything <= stored_ids(file)


async def test_c07_what_is_on_disk_at_any_moment_is_whole(tmp_path: Path) -> None:
    """An approximation of a power cut: the files are copied between two instructions."""
    file = tmp_path / "gateway.db"
    async with sending_child(file) as (child, said):
        for n in range(5):
            await asyncio.sleep(0.05)
            before = set(said)
            child.send_signal(signal.SIGSTOP)
            copy = tmp_path / f"copy-{n}.db"
            shutil.copy(file, copy)
            shutil.copy(f"{file}-wal", f"{copy}-wal")
            child.send_signal(signal.SIGCONT)
            assert integrity(copy) == "ok"
            assert before <= stored_ids(copy)


async def test_the_clock_is_the_databases(database_url: str) -> None:
    async with open_database(settings(database_url)) as database:
        before = database.now()
        await database.follow_clock()
        assert abs((database.now() - before).total_seconds()) < 1


@pytest.mark.parametrize(
    ("url", "hosts", "ports"),
    [
        ("postgresql://me:pw@a,b:6432/db", ["a", "b"], [5432, 6432]),
        ("postgresql://a,b,c/db?application_name=x", ["a", "b", "c"], [5432, 5432, 5432]),
        ("postgres://me:p,w@a/db", "a", None),
        ("postgresql://me:pw@a:6432/d,b", "a", 6432),
        ("postgresql:///db?host=a:1&host=b:2", ["a", "b"], [1, 2]),
    ],
)
def test_several_hosts_are_written_as_everywhere(
    url: str, hosts: list[str] | str, ports: list[int] | int | None
) -> None:
    (), arguments = driver_url(url).get_dialect()().create_connect_args(driver_url(url))

    assert (arguments["host"], arguments.get("port")) == (hosts, ports)
