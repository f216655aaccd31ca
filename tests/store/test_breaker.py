"""A target that cannot be reached is left alone, by all nodes."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from gateway.core.breaker import Breaker
from gateway.core.outcome import Outcome, PermanentFailure, RetryableFailure, Succeeded
from gateway.core.retry import Retry
from gateway.store.claim import ClaimedRun, next_due
from gateway.store.history import list_targets
from gateway.store.schema import runs, targets
from gateway.store.settle import Ended
from tests.store.scene import MINUTE, SECOND, TARGET, Scene, opened

BREAKER = Breaker(failures=3, pause=timedelta(seconds=30), max_pause=timedelta(minutes=2), trip_on=(401,))
AT_ONCE = Retry(attempts=1000, delays=(timedelta(0),))
UNREACHABLE = RetryableFailure(reason="connection refused", reached=False)


async def miss(scene: Scene, run: ClaimedRun) -> Ended:
    return await scene.end(run, UNREACHABLE, breaker=BREAKER, retry=AT_ONCE)


async def trip(scene: Scene) -> None:
    await scene.ask()
    for _ in range(3):
        await miss(scene, await scene.claim_one())


async def open_until(scene: Scene) -> Any:
    return (await scene.rows(targets, targets.c.name == TARGET))[0].open_until


async def test_after_three_failures_to_reach_it_there_is_no_call_for_the_pause(scene: Scene) -> None:
    await trip(scene)
    assert await scene.claim() == []
    async with scene.database.read() as connection:
        assert await next_due(connection, [TARGET]) == {TARGET: scene.now + 30 * SECOND}
    scene.wait(29 * SECOND)
    assert await scene.claim() == []
    scene.wait(SECOND)

    assert len(await scene.claim()) == 1


async def test_one_call_probes_and_its_failure_doubles_the_pause(scene: Scene) -> None:
    await trip(scene)
    for _ in range(10):
        await scene.ask(None)
    pauses = []
    for _ in range(4):
        scene.clock.instant = await open_until(scene)
        probing = await scene.claim_one()
        assert await scene.claim() == []
        await miss(scene, probing)
        pauses.append(await open_until(scene) - scene.now)

    assert pauses == [MINUTE, 2 * MINUTE, 2 * MINUTE, 2 * MINUTE]


@pytest.mark.parametrize("answer", [Succeeded(), PermanentFailure(status=404), RetryableFailure(status=500)])
async def test_a_probe_that_reaches_it_closes_the_breaker(scene: Scene, answer: Outcome) -> None:
    await trip(scene)
    scene.wait(30 * SECOND)
    await scene.end(await scene.claim_one(), answer, breaker=BREAKER)
    for _ in range(5):
        await scene.ask(None)

    assert await open_until(scene) is None
    assert len(await scene.claim()) == 5


async def test_a_success_of_a_call_that_began_before_does_not_close_it(scene: Scene) -> None:
    await scene.ask(None)
    old = await scene.claim_one()
    await trip(scene)
    await scene.end(old, Succeeded(), breaker=BREAKER)

    assert await open_until(scene) == scene.now + 30 * SECOND
    assert await scene.claim() == []


async def test_successes_between_failures_begin_the_count_anew(scene: Scene) -> None:
    for outcome in 3 * [UNREACHABLE, UNREACHABLE, Succeeded()]:
        await scene.ask(None)
        await scene.end((await scene.claim(slots=1))[0], outcome, breaker=BREAKER, retry=Retry(attempts=1))

    assert await open_until(scene) is None


async def test_failures_in_one_commit_are_counted_one_by_one(scene: Scene) -> None:
    for _ in range(4):
        await scene.ask(None)
    await asyncio.gather(*(miss(scene, run) for run in await scene.claim()))

    assert await open_until(scene) == scene.now + 30 * SECOND


async def test_a_status_in_trip_on_opens_it_at_once_and_for_long(scene: Scene) -> None:
    await scene.ask()
    await scene.end(await scene.claim_one(), PermanentFailure(status=401), breaker=BREAKER)

    assert await open_until(scene) == scene.now + 2 * MINUTE


async def test_p8_all_nodes_share_the_breaker(postgres_scene: Scene, kept_postgres_url: str) -> None:
    await trip(postgres_scene)
    async with opened(kept_postgres_url) as other:
        for _ in range(5):
            await other.ask(None)
        assert await other.claim() == []
        (shown,) = await list_targets(other.database, [TARGET])
        assert (shown["state"], shown["breaker"]["failures"]) == ("unreachable", 3)
        postgres_scene.wait(30 * SECOND)
        other.wait(30 * SECOND)
        probes = await asyncio.gather(postgres_scene.claim(), other.claim())
        assert sorted(map(len, probes)) == [0, 1]


async def test_failures_on_two_nodes_at_once_are_not_lost(postgres_scene: Scene, kept_postgres_url: str) -> None:
    async with opened(kept_postgres_url) as other:
        for _ in range(40):
            await postgres_scene.ask(None)
        mine, its = await postgres_scene.claim(slots=20), await other.claim(slots=20)
        many = Breaker(failures=1000)
        missing = [postgres_scene.end(run, UNREACHABLE, breaker=many) for run in mine]
        await asyncio.gather(*missing, *(other.end(run, UNREACHABLE, breaker=many) for run in its))
        (row,) = await postgres_scene.rows(targets)
        assert row.breaker_failures == 40


async def test_whoever_resumes_wants_to_see_a_call(scene: Scene) -> None:
    await trip(scene)
    await scene.resume_target()

    assert (await scene.claim_one()).attempt == 4


async def test_a_success_that_closes_it_takes_the_row_of_the_target_before_those_of_runs(postgres_scene: Scene) -> None:
    """As everybody does: whoever took them the other way round would meet those in a deadlock."""
    scene = postgres_scene
    await trip(scene)
    scene.clock.instant = await open_until(scene)
    probing = await scene.claim_one()
    async with scene.aside() as other:
        await other.execute(select(targets).where(targets.c.name == TARGET).with_for_update())
        settling = asyncio.create_task(scene.succeed(probing, breaker=BREAKER))
        await asyncio.sleep(0.3)
        await other.execute(select(runs).where(runs.c.id == probing.id).with_for_update(nowait=True))
        await other.rollback()
    await settling

    assert await open_until(scene) is None
