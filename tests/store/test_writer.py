"""Group commit: what waits goes together, and nobody waits for ever."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import func, select, text, update

from gateway.core.errors import Unavailable
from gateway.store import writer
from gateway.store.database import Database, open_database
from gateway.store.schema import targets
from gateway.store.settings import DatabaseSettings
from gateway.store.writer import Work
from tests.store.scene import TARGET, Scene


def together(work: Work, asked: Sequence[int]) -> list[int]:
    """How many were asked for in one commit."""
    return [len(asked) for _ in asked]


def odd(work: Work, asked: Sequence[int]) -> list[int | ValueError]:
    return [ValueError(str(number)) if number % 2 else number for number in asked]


def refuse_seven(work: Work, asked: Sequence[int]) -> list[int]:
    if 7 in asked:
        raise ValueError("seven")
    work.connection.execute(update(targets).values(breaker_failures=targets.c.breaker_failures + len(asked)))
    return list(asked)


async def test_what_waits_is_committed_together(scene: Scene) -> None:
    sizes = await asyncio.gather(*(scene.database.commit(together, n) for n in range(1200)))

    assert max(sizes) == writer.MAX_BATCH
    assert len(sizes) == 1200


async def test_a_result_that_is_an_exception_is_raised_to_who_asked(scene: Scene) -> None:
    results = await asyncio.gather(*(scene.database.commit(odd, n) for n in range(4)), return_exceptions=True)

    assert [str(one) for one in results] == ["0", "1", "2", "3"]
    assert [isinstance(one, ValueError) for one in results] == [False, True, False, True]


async def test_p9_only_the_request_that_spoils_a_batch_fails(scene: Scene) -> None:
    results = await asyncio.gather(
        *(scene.database.commit(refuse_seven, n) for n in range(100)), return_exceptions=True
    )

    assert [n for n, result in enumerate(results) if isinstance(result, ValueError)] == [7]
    (row,) = await scene.rows(targets, targets.c.name == TARGET)
    assert row.breaker_failures == 99


async def test_d09_who_comes_when_too_many_wait_is_sent_away(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_WAITING", 10)
    results = await asyncio.gather(*(scene.database.commit(together, n) for n in range(15)), return_exceptions=True)

    refused = [one for one in results if isinstance(one, Unavailable)]
    assert len(refused) == 5
    assert refused[0].retry_after == 1


async def test_who_does_not_wait_for_the_answer_disturbs_nobody(scene: Scene) -> None:
    asked = [asyncio.create_task(scene.database.commit(together, n)) for n in range(10)]
    await asyncio.sleep(0)
    asked[3].cancel()
    results = await asyncio.gather(*asked, return_exceptions=True)

    assert sum(isinstance(one, asyncio.CancelledError) for one in results) == 1
    assert await scene.database.commit(together, 1) == 1


async def test_what_nobody_waits_for_any_more_is_not_begun(scene: Scene) -> None:
    """A candidate that gave up while the database was away is not elected when it comes back."""
    begun: list[int] = []

    def note(work: Work, asked: Sequence[int]) -> list[None]:
        begun.extend(asked)
        return [None for _ in asked]

    given_up = asyncio.create_task(scene.database.commit(note, 1))
    await asyncio.sleep(0)
    given_up.cancel()
    await scene.database.commit(note, 2)

    assert begun == [2]


async def test_closing_commits_what_waits_and_takes_nothing_more(kept_url: str, scene: Scene) -> None:
    if scene.is_sqlite:
        await scene.database.close()
        with pytest.raises(Unavailable):
            await scene.database.commit(together, 1)
        return
    async with open_database(DatabaseSettings.model_validate({"url": kept_url})) as database:
        waiting = [asyncio.create_task(database.commit(together, n)) for n in range(3)]
        await asyncio.sleep(0)
        await database.close()
        assert await asyncio.gather(*waiting) == [3, 3, 3]
        with pytest.raises(Unavailable):
            await database.commit(together, 1)


def read_then_write(work: Work, asked: Sequence[None]) -> list[None]:
    before = work.connection.scalar(
        select(targets.c.breaker_failures).where(targets.c.name == TARGET).with_for_update()
    )
    values = {"breaker_failures": (before or 0) + len(asked)}
    work.connection.execute(update(targets).where(targets.c.name == TARGET).values(values))
    return [None for _ in asked]


async def test_d01_twenty_writers_lose_no_update(scene: Scene) -> None:
    async def write() -> None:
        for _ in range(20):
            await scene.database.commit(read_then_write, None)

    await asyncio.gather(*(write() for _ in range(20)))

    (row,) = await scene.rows(targets, targets.c.name == TARGET)
    assert row.breaker_failures == 400


def serializable(work: Work, asked: Sequence[None]) -> list[None]:
    work.connection.execute(text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
    return read_then_write(work, asked)


async def test_d07_serialization_failures_are_repeated(postgres_scene: Scene, kept_postgres_url: str) -> None:
    settings = DatabaseSettings.model_validate({"url": kept_postgres_url})
    async with open_database(settings) as second:

        async def write(database: Database) -> None:
            for _ in range(15):
                await database.commit(serializable, None)

        await asyncio.gather(*(write(database) for database in (postgres_scene.database, second)))

    (row,) = await postgres_scene.rows(targets, targets.c.name == TARGET)
    assert row.breaker_failures == 30


def lock_two(work: Work, asked: Sequence[tuple[str, str]]) -> list[None]:
    for names in asked:
        for name in names:
            work.connection.execute(select(targets).where(targets.c.name == name).with_for_update())
            work.connection.execute(text("SELECT pg_sleep(0.1)"))
    return [None for _ in asked]


async def test_d07_deadlocks_are_repeated(postgres_scene: Scene, kept_postgres_url: str) -> None:
    other = "other"
    await postgres_scene.ask(target=other, lane="a")
    async with open_database(DatabaseSettings.model_validate({"url": kept_postgres_url})) as second:
        await asyncio.gather(
            postgres_scene.database.commit(lock_two, (TARGET, other)), second.commit(lock_two, (other, TARGET))
        )
    async with postgres_scene.database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(targets)) == 2
