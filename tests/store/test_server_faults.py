"""A PostgreSQL that restarts, breaks off at the commit, or does not answer."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

import pytest
from sqlalchemy import text

from gateway.core.errors import Unavailable
from gateway.core.outcome import Succeeded
from gateway.core.run import State
from gateway.store import database as database_module
from gateway.store.leases import touch
from gateway.store.schema import attempts, events, runs
from tests.servers.postgres import PostgreSQL
from tests.servers.proxy import Proxy
from tests.store.scene import Scene, delivery, opened, request

T = TypeVar("T")


async def test_d06_a_server_that_goes_down_during_a_thousand_accepts(postgres: PostgreSQL, postgres_url: str) -> None:
    """All are stored once, those as well whose commit nobody confirmed."""
    async with opened(postgres_url) as scene:

        async def send(names: range) -> None:
            for name in names:
                await until_accepted(scene, str(name))

        sending = [asyncio.create_task(send(range(n, 1000, 20))) for n in range(20)]
        for _ in range(2):
            await asyncio.sleep(0.15)
            await asyncio.to_thread(postgres.stop, "immediate")
            await asyncio.to_thread(postgres.start)
        await asyncio.gather(*sending)

        assert sorted(int(row.delivery_id) for row in await scene.rows(events)) == list(range(1000))
        assert len(await scene.rows(runs)) == 1000
        await touch(scene.database, scene.node.id)


async def until_accepted(scene: Scene, name: str) -> None:
    """As a sender does, with the same id again and again."""
    while True:
        try:
            await scene.accept(request(None), delivery=delivery(name))
        except Unavailable:
            await asyncio.sleep(0.1)
        else:
            return


@asynccontextmanager
async def behind_proxy(postgres: PostgreSQL, url: str) -> AsyncIterator[tuple[Scene, Proxy]]:
    async with Proxy(postgres.port) as proxy, opened(url.replace(str(postgres.port), str(proxy.port))) as scene:
        yield scene, proxy


def cut_at_commit(scene: Scene, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next commit arrives at the server, and its answer does not arrive here."""
    transactor: Any = scene.database._transactor
    run = transactor.run

    async def cutting(transaction: Any, committing: Any) -> Any:
        loop = asyncio.get_running_loop()

        def cut() -> None:
            committing()
            switching.append(loop.create_task(proxy.switch("up_only")))

        monkeypatch.setattr(transactor, "run", run)
        return await run(transaction, cut)

    switching: list[asyncio.Task[None]] = []
    monkeypatch.setattr(transactor, "run", cutting)


async def resolve(proxy: Proxy, acting: Coroutine[Any, Any, T]) -> T:
    """Lets the connection break, while the server has the commit and nobody here knows, and come back."""
    task = asyncio.create_task(acting)
    await asyncio.sleep(0.3)
    await proxy.switch("cut")
    await proxy.switch("pass")
    return await task


class Unknown(Protocol):
    """Does something whose commit is not confirmed at first."""

    async def __call__(self, acting: Coroutine[Any, Any, T]) -> T: ...


@pytest.fixture
async def unconfirmed(
    postgres: PostgreSQL, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Scene, Unknown]]:
    async with behind_proxy(postgres, postgres_url) as (scene, proxy):

        async def act(acting: Coroutine[Any, Any, T]) -> T:
            cut_at_commit(scene, proxy, monkeypatch)
            return await resolve(proxy, acting)

        yield scene, act


async def test_d07_an_event_is_accepted_once(unconfirmed: tuple[Scene, Unknown]) -> None:
    scene, act = unconfirmed
    decision = await act(scene.ask(None))

    assert [row.id for row in await scene.rows(runs)] == [decision.run_id]
    assert len(await scene.rows(events)) == 1


async def test_d07_a_run_is_claimed_once(unconfirmed: tuple[Scene, Unknown]) -> None:
    scene, act = unconfirmed
    decision = await scene.ask(None)
    claimed = await act(scene.claim(executing=frozenset()))

    assert [(run.id, run.attempt) for run in claimed] == [(decision.run_id, 1)]


async def test_d07_a_run_is_settled_once(unconfirmed: tuple[Scene, Unknown]) -> None:
    scene, act = unconfirmed
    await scene.ask(None)
    await act(scene.settle(await scene.claim_one(), Succeeded()))

    assert await scene.states() == [State.SUCCEEDED]
    assert len(await scene.rows(attempts)) == 1


async def test_d07_a_run_is_cancelled_once(unconfirmed: tuple[Scene, Unknown]) -> None:
    scene, act = unconfirmed

    assert await act(scene.cancel((await scene.ask(None)).run_id)) is State.CANCELLED


@pytest.mark.parametrize("key", [None, "k"])
async def test_d07_a_run_is_retried_by_hand_once(unconfirmed: tuple[Scene, Unknown], key: str | None) -> None:
    scene, act = unconfirmed
    await scene.ask(key)
    run = await scene.claim_one()
    await scene.give_up(run)
    decision = await act(scene.repeat(run.id))

    assert await scene.states() == [State.FAILED, State.QUEUED]
    assert (await scene.run(decision.run_id)).retried_from == run.id


async def test_d09_a_server_that_does_not_answer_is_not_waited_for_for_ever(
    postgres: PostgreSQL, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "COMMAND_TIMEOUT", 0.5)
    monkeypatch.setattr(database_module, "PATIENCE", 0.5)
    async with behind_proxy(postgres, postgres_url) as (scene, proxy):
        await scene.ask()
        await proxy.switch("blackhole")
        async with asyncio.timeout(15):
            with pytest.raises(Unavailable):
                await scene.ask()
        await proxy.switch("cut")
        await proxy.switch("pass")
        assert (await scene.ask()).run_id
        assert len(await scene.rows(runs)) == 1


async def test_what_is_done_by_itself_may_take_longer_than_others(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration builds indexes of large tables, or waits for another node to have done so."""
    monkeypatch.setattr(database_module, "COMMAND_TIMEOUT", 0.1)
    async with opened(postgres_url) as scene:
        await scene.database.transact(lambda connection: connection.execute(text("SELECT pg_sleep(0.3)")))
        with pytest.raises(Unavailable):
            async with scene.database.read() as connection:
                await connection.execute(text("SELECT pg_sleep(0.3)"))
