"""Accepted once, whoever sends it again."""

import asyncio
from datetime import timedelta

import pytest

from gateway.core.plan import Plan
from gateway.store.accept import Acceptance
from gateway.store.schema import events, runs
from tests.store.scene import HOUR, SECOND, Scene, delivery, event, opened, request


async def test_a_redelivery_is_a_duplicate_of_the_first_and_counted_on_it(scene: Scene) -> None:
    first = await scene.accept(request(None), delivery=delivery("a"))
    again = [await scene.accept(request(None), delivery=delivery("a")) for _ in range(3)]

    assert (first.duplicate, len(first.decisions)) == (False, 1)
    assert {(one.duplicate, one.event_id, one.decisions) for one in again} == {(True, first.event_id, ())}
    (row,) = await scene.rows(events)
    assert row.deliveries == 4
    assert len(await scene.rows(runs)) == 1


async def test_scope_and_id_make_the_key(scene: Scene) -> None:
    await scene.accept(delivery=delivery("a"))

    assert not (await scene.accept(delivery=delivery("b"))).duplicate
    assert not (await scene.accept(delivery=delivery("a", scope="other"))).duplicate
    assert not (await scene.accept()).duplicate


@pytest.mark.parametrize("name", ["x" * 200, "x" * 201, "x" * 100_000, "ключ" * 100, "' OR 1=1 --", " "])
async def test_any_id_is_recognised(scene: Scene, name: str) -> None:
    await scene.accept(delivery=delivery(name))

    assert (await scene.accept(delivery=delivery(name))).duplicate
    assert not (await scene.accept(delivery=delivery(name + "x"))).duplicate


async def test_x06_the_edges_of_the_window(scene: Scene) -> None:
    first = await scene.accept(delivery=delivery("a", window=HOUR))
    scene.wait(HOUR - SECOND)
    assert (await scene.accept(delivery=delivery("a", window=HOUR))).duplicate
    scene.wait(2 * SECOND)
    second = await scene.accept(delivery=delivery("a", window=HOUR))

    assert (second.duplicate, second.event_id == first.event_id) == (False, False)
    assert (await scene.accept(delivery=delivery("a", window=HOUR))).event_id == second.event_id
    assert len(await scene.rows(events)) == 2


async def test_x06_what_became_of_the_event_does_not_matter(scene: Scene) -> None:
    await scene.accept(request(), delivery=delivery("a"))
    await scene.give_up(await scene.claim_one())
    scene.wait(timedelta(days=6))

    assert (await scene.accept(request(), delivery=delivery("a"))).duplicate
    assert await scene.claim() == []


async def test_x06_a_hundred_at_once(scene: Scene) -> None:
    accepted = await asyncio.gather(*(scene.accept(request(None), delivery=delivery("a")) for _ in range(100)))

    assert sorted(one.duplicate for one in accepted) == [False] + 99 * [True]
    assert len({one.event_id for one in accepted}) == 1
    (row,) = await scene.rows(events)
    assert row.deliveries == 100
    assert len(await scene.rows(runs)) == 1


async def test_x06_at_once_on_several_nodes(postgres_scene: Scene, kept_postgres_url: str) -> None:
    async with opened(kept_postgres_url) as other:
        for n in range(20):
            accepted = await asyncio.gather(
                *(scene.accept(request(None), delivery=delivery(str(n))) for scene in 3 * (postgres_scene, other))
            )
            assert sorted(one.duplicate for one in accepted) == [False] + 5 * [True]
    assert len(await postgres_scene.rows(runs)) == 20


async def test_the_items_of_one_sender_are_accepted_together(scene: Scene) -> None:
    await scene.accept(delivery=delivery("b"))
    items = [Acceptance(event(delivery=delivery(name)), Plan(())) for name in ("a", "b", "a", "c")]
    accepted = await scene.accept_all(*items)

    assert [one.duplicate for one in accepted] == [False, True, True, False]
    assert accepted[2].event_id == accepted[0].event_id
    assert {row.delivery_id: row.deliveries for row in await scene.rows(events)} == {"a": 2, "b": 2, "c": 1}
