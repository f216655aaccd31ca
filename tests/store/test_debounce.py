"""Runs that wait for silence before they are due."""

from gateway.core.request import Priority, Verb
from tests.store.scene import MINUTE, SECOND, Scene


async def test_debounce_waits_for_silence_but_not_for_ever(scene: Scene) -> None:
    began = scene.now
    asked = [await scene.ask(debounce=30 * SECOND)]
    for _ in range(5):
        scene.wait(20 * SECOND)
        asked.append(await scene.ask(debounce=30 * SECOND, max_wait=MINUTE + 50 * SECOND))

    assert {one.run_id for one in asked} == {asked[0].run_id}
    assert (await scene.run(asked[0].run_id)).due_at == began + MINUTE + 50 * SECOND
    scene.wait(9 * SECOND)
    assert await scene.claim() == []
    scene.wait(SECOND)
    assert (await scene.claim_one()).events == 6


async def test_max_wait_is_ten_times_the_debounce(scene: Scene) -> None:
    began = scene.now
    run_id = (await scene.ask(debounce=MINUTE)).run_id
    for _ in range(11):
        scene.wait(55 * SECOND)
        await scene.ask(debounce=MINUTE)

    assert (await scene.run(run_id)).due_at == began + 10 * MINUTE


async def test_who_asks_by_hand_does_not_wait_for_silence(scene: Scene) -> None:
    run_id = (await scene.ask(debounce=MINUTE)).run_id
    by_hand = await scene.ask(priority=Priority.HIGH, trigger=None, requested_by="me")
    assert (by_hand.decision, by_hand.run_id) == (Verb.MERGED, run_id)
    await scene.ask(debounce=MINUTE)  # nor is it made to wait afterwards

    assert (await scene.claim_one()).id == run_id
