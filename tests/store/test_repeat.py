"""A retry by hand: the old run's key and events, then the table."""

from gateway.core.request import Verb
from tests.store.scene import Scene, request


async def test_a_retry_by_hand_brings_key_and_events(scene: Scene) -> None:
    first = await scene.accept(request())
    second = await scene.accept(request())
    run = await scene.claim_one()
    await scene.give_up(run)
    decision = await scene.repeat(run.id)

    again = await scene.run(decision.run_id)
    assert (again.retried_from, again.requested_by, again.key, again.events) == (run.id, "me", "k", 2)
    assert await scene.event_ids(again.id) == [first.event_id, second.event_id]
    assert (await scene.ask()).run_id == again.id


async def test_a_retry_by_hand_meets_the_table(scene: Scene) -> None:
    await scene.accept(request(payload=b"1"))
    old = await scene.claim_one()
    await scene.give_up(old)
    newer = await scene.ask(payload=b"2")

    merged = await scene.repeat(old.id)
    assert (merged.decision, merged.run_id) == (Verb.MERGED, newer.run_id)
    run = await scene.claim_one()
    assert (run.events, run.payload) == (2, b"2")  # the newest data wins
    behind = await scene.repeat(old.id)
    assert (behind.decision, (await scene.run(behind.run_id)).behind) == (Verb.ENQUEUED, run.id)
    await scene.fail(run)
    superseding = await scene.run(behind.run_id)
    assert (superseding.events, superseding.payload) == (2, b"2")  # the old event was in both, and counts once


async def test_a_retry_by_hand_supersedes_with_the_newer_data(scene: Scene) -> None:
    await scene.ask(payload=b"1")
    old = await scene.claim_one()
    await scene.give_up(old)
    await scene.ask(payload=b"2")
    await scene.fail(await scene.claim_one())
    decision = await scene.repeat(old.id)

    superseding = await scene.run(decision.run_id)
    assert (superseding.payload, superseding.events) == (b"2", 2)
