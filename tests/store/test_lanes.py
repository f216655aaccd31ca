"""Runs of one key within a target: as many at once as allowed, in order where that is asked for."""

import asyncio
from collections import Counter

from gateway.core.request import Priority
from gateway.store.lanes import LaneLimit
from gateway.store.schema import is_running, runs, targets
from tests.store.invariants import check
from tests.store.scene import MINUTE, SECOND, TARGET, Scene, opened, request

ONE = LaneLimit(1, ordered=False)
TWO = LaneLimit(2, ordered=False)
ORDERED = LaneLimit(1, ordered=True)


async def test_one_run_of_a_lane_at_a_time(scene: Scene) -> None:
    scene.limits[TARGET] = ONE
    first, second, other = [await scene.ask(None, lane=lane) for lane in ("a", "a", "b")]
    claimed = await scene.claim()
    assert [run.id for run in claimed] == [first.run_id, other.run_id]
    assert await scene.claim() == []
    await scene.succeed(claimed[0])

    assert (await scene.claim_one()).id == second.run_id


async def test_as_many_of_a_lane_as_allowed(scene: Scene) -> None:
    scene.limits[TARGET] = TWO
    for _ in range(5):
        await scene.ask(None, lane="a")
    claimed = await scene.claim()
    assert len(claimed) == 2
    await scene.fail(claimed[0])

    assert len(await scene.claim()) == 1


async def test_what_is_due_later_keeps_no_seat(scene: Scene) -> None:
    scene.limits[TARGET] = ONE
    await scene.ask(None, lane="a", due_at=scene.now + MINUTE)
    now = await scene.ask(None, lane="a")
    claimed = await scene.claim_one()
    assert claimed.id == now.run_id
    await scene.fail(claimed)
    soon = await scene.ask(None, lane="a")

    assert (await scene.claim_one()).id == soon.run_id


async def test_high_priority_goes_first_in_a_lane_too(scene: Scene) -> None:
    scene.limits[TARGET] = ONE
    await scene.ask(None, lane="a")
    high = await scene.ask(None, lane="a", priority=Priority.HIGH)

    assert (await scene.claim_one()).id == high.run_id


async def test_in_an_ordered_lane_a_run_waits_until_all_older_ones_are_final(scene: Scene) -> None:
    scene.limits[TARGET] = ORDERED
    asked = [await scene.ask(None, lane="a", due_at=scene.now - n * SECOND) for n in range(3)]
    first = await scene.claim_one()
    assert first.id == asked[0].run_id
    await scene.fail(first)
    assert await scene.claim() == []
    scene.wait(10 * SECOND)
    again = await scene.claim_one()
    assert again.id == first.id
    await scene.give_up(again)
    order = [first.id]
    for _ in range(2):
        run = await scene.claim_one()
        order.append(run.id)
        await scene.succeed(run)

    assert order == [one.run_id for one in asked]


async def test_cancelling_the_oldest_lets_the_next_go(scene: Scene) -> None:
    scene.limits[TARGET] = ORDERED
    first, second = [await scene.ask(None, lane="a") for _ in range(2)]
    await scene.cancel(first.run_id)

    assert (await scene.claim_one()).id == second.run_id


async def test_superseding_within_a_lane(scene: Scene) -> None:
    for limit in (ONE, ORDERED):
        scene.limits[TARGET] = limit
        await scene.ask(lane="a")
        run = await scene.claim_one()
        newer = await scene.ask(lane="a")
        assert (await scene.fail(run)).superseded_by == newer.run_id
        assert await scene.claim() == []
        scene.wait(10 * SECOND)
        taken = await scene.claim_one()
        assert taken.id == newer.run_id
        await scene.succeed(taken)


async def test_lanes_and_the_limit_of_the_target_hold_together(scene: Scene) -> None:
    scene.limits[TARGET] = TWO
    for n in range(30):
        await scene.ask(None, lane=str(n % 5))

    assert len(await scene.claim(limit=4)) == 4
    assert max(Counter(row.lane for row in await scene.rows(runs, is_running)).values()) <= 2


async def test_a_limit_taken_out_of_the_configuration_holds_nobody_back(scene: Scene) -> None:
    scene.limits[TARGET] = ONE
    for _ in range(3):
        await scene.ask(None, lane="a")
    run = await scene.claim_one()
    del scene.limits[TARGET]
    await scene.succeed(run)

    assert len(await scene.claim()) == 2


async def test_p4_lanes_hold_over_nodes_even_before_any_node_knows_the_target(
    postgres_scene: Scene, kept_postgres_url: str
) -> None:
    """Two nodes accept for the same lane at once, and the row that guards it is not there yet."""
    async with opened(kept_postgres_url) as other:
        for scene in (postgres_scene, other):
            scene.limits["new"] = ONE
        asking = [scene.accept(request(None, lane="a", target="new")) for scene in 10 * (postgres_scene, other)]
        await asyncio.gather(*asking)

        assert len(await postgres_scene.rows(targets, targets.c.name == "new")) == 1
        assert len(await postgres_scene.rows(runs, runs.c.claimable.is_(True))) == 1
        await check(postgres_scene, 100)
