"""The database is full, locked, gone or overwhelmed: whoever asks is told so, and nothing accepted is lost."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.faults.disk import small_disk
from tests.faults.ledger import Ledger
from tests.faults.load import Load
from tests.gateway_client import GatewayClient
from tests.gateways import configuration, nodes_of, running
from tests.servers.postgres import PostgreSQL
from tests.target_server import TargetServer
from tests.waiting import until

IN_FLIGHT = 8


async def readiness(client: GatewayClient) -> int:
    return (await client.request("GET", "/readyz")).status


async def refusals(load: Load) -> bool:
    return bool(load.refused)


async def test_d03_the_disk_is_full(tmp_path: Path, target: TargetServer) -> None:
    """Senders are asked to come again later; with room, it goes on by itself."""
    with small_disk(tmp_path / "disk", size="8m") as small:
        config = configuration(target, f"sqlite:///{small.folder}/gateway.db", calls={"concurrency": IN_FLIGHT})
        [node] = nodes_of(config, tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            async with Load([node.url]) as load:
                await target.wait_for_calls(20)
                small.fill()
                await until(partial(refusals, load), True, "senders are refused")
                assert await readiness(client) == 503
                assert (await client.runs())[0]["target"] == "sync"
                small.clear()
                await until(partial(readiness, client), 200, "readiness")
            assert all(int(reply.headers["Retry-After"]) > 0 for reply in load.refused)
            await Ledger(load.accepted, target).check(client, repeatable=IN_FLIGHT)


async def test_d05_the_file_is_deleted(tmp_path: Path, target: TargetServer) -> None:
    """Nothing more is accepted, and no empty database takes its place."""
    [node] = nodes_of(configuration(target, f"sqlite:///{tmp_path}/gateway.db"), tmp_path)
    async with running(node), GatewayClient(node.url) as client:
        assert (await client.send({"id": "before", "type": "sent"})).status == 202
        (tmp_path / "gateway.db").unlink()

        assert (await client.send({"id": "after", "type": "sent"})).status == 503
        assert await readiness(client) == 503
        assert not (tmp_path / "gateway.db").exists()


async def test_d06_postgres_crashes_and_comes_back(
    tmp_path: Path, target: TargetServer, postgres: PostgreSQL, postgres_url: str
) -> None:
    """It dies while events are committed: what was in doubt is settled by repeating it."""
    nodes = nodes_of(configuration(target, postgres_url, calls={"concurrency": IN_FLIGHT}), tmp_path, 2)
    async with running(*nodes), GatewayClient(nodes[0].url) as client:
        async with Load([node.url for node in nodes]) as load:
            await target.wait_for_calls(20)
            for _ in range(3):
                await asyncio.to_thread(postgres.stop, "immediate")
                await asyncio.to_thread(postgres.start)
                await target.wait_for_calls(len(target.calls) + 20, seconds=20)
            await asyncio.to_thread(postgres.stop, "immediate")
            await until(partial(readiness, client), 503, "readiness")
            await until(partial(refusals, load), True, "senders are refused")
            await asyncio.to_thread(postgres.start)
            await until(partial(readiness, client), 200, "readiness")
        assert all(int(reply.headers["Retry-After"]) > 0 for reply in load.refused)
        await Ledger(load.accepted, target).check(client, repeatable=4 * IN_FLIGHT)


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Held by somebody who writes to it, and takes his time."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


async def test_s06_too_much_at_once_is_refused_rather_than_queued(tmp_path: Path, target: TargetServer) -> None:
    config = configuration(target, f"sqlite:///{tmp_path}/gateway.db")
    [node] = nodes_of(config, tmp_path, broken=["short-queue"])
    async with running(node), GatewayClient(node.url) as client:
        with locked(tmp_path / "gateway.db"):
            posts = [asyncio.create_task(client.send({"id": f"{number}", "type": "sent"})) for number in range(200)]
            done, waiting = await asyncio.wait(posts, timeout=2)
            refused = [post.result() for post in done]
        accepted = await asyncio.gather(*waiting)

        assert len(waiting) <= 20 + 20 + 1  # a full queue, what is being committed, and a look at cancelled runs
        assert {(reply.status, reply.headers["Retry-After"]) for reply in refused} == {(503, "1")}
        assert {reply.status for reply in accepted} == {202}
        await client.wait_until_idle()
        assert len(target.calls) == len(accepted)


@contextmanager
def another_writer(database: Path) -> Iterator[None]:
    """A tool that writes to the file again and again, never for long."""
    stop = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as connection:
            while not stop.is_set():
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("UPDATE targets SET paused = paused")
                time.sleep(0.005)
                connection.execute("COMMIT")
                time.sleep(0.005)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


async def stands_another_writer(folder: Path, target: TargetServer, *defects: str) -> None:
    config = configuration(target, f"sqlite:///{folder}/gateway.db", calls={"concurrency": IN_FLIGHT})
    [node] = nodes_of(config, folder, broken=defects)
    async with running(node), GatewayClient(node.url) as client:
        with another_writer(folder / "gateway.db"):
            async with Load([node.url]) as load:

                async def enough() -> bool:
                    return len(target.calls) >= 100 or bool(load.refused)

                await until(enough, True, "a hundred calls")
                assert not load.refused
        await Ledger(load.accepted, target).check(client, repeatable=0)


async def test_d01_somebody_else_writes_to_the_file(tmp_path: Path, target: TargetServer) -> None:
    await stands_another_writer(tmp_path, target)


async def test_c08_a_deferred_begin_comes_to_light(tmp_path: Path, target: TargetServer) -> None:
    with pytest.raises((AssertionError, TimeoutError)):
        await stands_another_writer(tmp_path, target, "begins-deferred")
