"""The rate of a target: its calls over all nodes."""

import asyncio

from sqlalchemy import update

from gateway.core.outcome import RetryableFailure
from gateway.core.rate import parse_rate
from gateway.store.claim import next_due
from gateway.store.history import find_run
from gateway.store.schema import targets
from tests.store.scene import HOUR, MINUTE, SECOND, TARGET, Scene, opened, request
from tests.store.test_breaker import BREAKER

TEN = parse_rate("10/m")


async def due(scene: Scene) -> object:
    async with scene.database.read() as connection:
        return (await next_due(connection, [TARGET])).get(TARGET)


async def fill(scene: Scene, count: int) -> None:
    for _ in range(count):
        scene.later(request(None))
    await scene.accept_later()


async def test_a_burst_and_then_one_at_a_time_each_at_the_instant_that_was_foretold(scene: Scene) -> None:
    await fill(scene, 14)
    assert len(await scene.claim(rate=TEN)) == 10
    for _ in range(3):
        assert await due(scene) == scene.now + 6 * SECOND
        assert await scene.claim(rate=TEN) == []
        scene.wait(6 * SECOND)
        assert len(await scene.claim(rate=TEN)) == 1


async def test_every_attempt_counts(scene: Scene) -> None:
    await scene.ask()
    once = parse_rate("1/m")
    await scene.fail(await scene.claim_one(rate=once))
    scene.wait(10 * SECOND)
    assert await scene.claim(rate=once) == []
    assert await due(scene) == scene.now + 50 * SECOND
    scene.wait(50 * SECOND)

    assert len(await scene.claim(rate=once)) == 1


async def test_a_node_that_is_free_takes_no_more_than_its_slots(scene: Scene) -> None:
    await fill(scene, 20)
    assert len(await scene.claim(rate=TEN, slots=3)) == 3
    assert len(await scene.claim(rate=TEN, limit=5)) == 2

    assert len(await scene.claim(rate=TEN)) == 5


async def test_a_run_says_that_it_waits_for_the_rate(scene: Scene) -> None:
    await fill(scene, 1)
    await scene.claim(rate=parse_rate("1/m"))
    waiting = await scene.ask(None)
    found = await find_run(scene.database, waiting.run_id or "")

    assert found is not None
    assert found["waiting_for"] == "the rate of the target; next call at 2027-01-15T22:01:00Z"


async def test_a_slow_rate_that_is_no_more_stops_nobody(scene: Scene) -> None:
    await fill(scene, 30)
    assert len(await scene.claim(rate=parse_rate("1/h"))) == 1
    assert await scene.claim(rate=TEN) == []
    assert await due(scene) == scene.now + 6 * SECOND
    assert len(await scene.claim()) == 29
    await fill(scene, 1)

    assert await due(scene) == scene.now


async def test_where_a_probe_is_due_but_no_call_allowed_it_waits_and_is_one(scene: Scene) -> None:
    await fill(scene, 9)
    once = parse_rate("1/m")
    [first] = await scene.claim(rate=once)
    opened_until = {"breaker_failures": 3, "breaker_pause": SECOND, "open_until": scene.now + 30 * SECOND}
    await scene.database.transact(
        lambda connection: connection.execute(update(targets).where(targets.c.name == TARGET).values(opened_until))
    )
    await scene.end(first, RetryableFailure(reached=False), breaker=BREAKER)
    scene.wait(30 * SECOND)
    assert await scene.claim(rate=once) == []
    assert await due(scene) == scene.now + 30 * SECOND
    scene.wait(HOUR)

    assert len(await scene.claim(rate=TEN)) == 1


async def test_a_retry_after_holds_for_a_rate_as_for_all(scene: Scene) -> None:
    await fill(scene, 2)
    fast = parse_rate("1/s")
    [first] = await scene.claim(rate=fast)
    await scene.end(first, RetryableFailure(status=503, reached=False, retry_after=MINUTE), breaker=BREAKER)
    assert await due(scene) == scene.now + MINUTE
    scene.wait(59 * SECOND)

    assert await scene.claim(rate=fast) == []


async def test_two_nodes_share_a_rate(kept_postgres_url: str, postgres_scene: Scene) -> None:
    one = postgres_scene
    await fill(one, 60)
    async with opened(kept_postgres_url) as other:
        for _ in range(3):
            claims = await asyncio.gather(
                *(scene.claim(rate=parse_rate("20/m"), slots=4) for scene in (one, other) for _ in range(5))
            )
            assert sum(map(len, claims)) == 20
            for scene in (one, other):
                scene.wait(MINUTE)
