"""Events that may have come before: without an id of their own, or after a commit whose fate nobody knows."""

from dataclasses import replace
from typing import Any

from gateway.core.event import Delivery
from gateway.core.plan import Plan
from gateway.store.accept import Acceptance, Accepted, accept
from gateway.store.schema import events, runs
from tests.store.scene import HOUR, MINUTE, Scene, event, request


def like(content: str, *, redelivered: bool) -> Delivery:
    return Delivery(scope="queue", id=content, window=HOUR, compared=redelivered)


async def test_only_a_redelivery_is_compared_by_what_is_in_it(scene: Scene) -> None:
    first = await scene.accept(delivery=like("same", redelivered=False))
    second = await scene.accept(delivery=like("same", redelivered=False))
    again = await scene.accept(delivery=like("same", redelivered=True))

    assert [first.duplicate, second.duplicate, again.duplicate] == [False, False, True]
    assert again.event_id == first.event_id
    assert len(await scene.rows(events)) == 2


async def test_a_redelivery_that_was_never_committed_is_new_and_known_from_then_on(scene: Scene) -> None:
    new = await scene.accept(delivery=like("same", redelivered=True))

    assert not new.duplicate
    assert (await scene.accept(delivery=like("same", redelivered=True))).event_id == new.event_id


async def test_after_the_window_what_is_the_same_is_new(scene: Scene) -> None:
    await scene.accept(delivery=like("same", redelivered=False))
    scene.wait(HOUR + MINUTE)

    assert not (await scene.accept(delivery=like("same", redelivered=True))).duplicate


async def test_two_of_one_batch_are_two(scene: Scene) -> None:
    batch = tuple(Acceptance(event(delivery=like("same", redelivered=False)), Plan(())) for _ in range(2))
    accepted = await scene.database.commit(accept, batch)

    assert [one.duplicate for one in accepted] == [False, False]


async def test_what_is_handed_in_again_after_a_commit_of_unknown_fate_is_accepted_once(scene: Scene) -> None:
    async def hand_in(**said: Any) -> list[Accepted]:
        return await scene.database.commit(accept, (replace(acceptance, **said),))

    acceptance = Acceptance(event(), Plan((request(None),)))
    first, again = await hand_in(), await hand_in(repeated=True)

    assert again == first
    assert len(await scene.rows(events)) == len(await scene.rows(runs)) == 1
