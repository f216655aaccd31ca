"""A run merges a thousand events and 16 MiB; nothing is cut off, the next one starts another run behind it."""

from gateway.core.request import Verb
from gateway.core.run import State
from tests.store.scene import SECOND, Scene, request


async def test_a_full_run_is_followed_by_another(scene: Scene) -> None:
    for _ in range(1000):
        scene.later(request())
    first = (await scene.accept_later())[0].decisions[0].run_id
    more = [await scene.ask(), await scene.ask()]

    assert (await scene.run(first)).events == 1000
    assert [one.decision for one in more] == [Verb.ENQUEUED, Verb.MERGED]
    assert (await scene.run(more[0].run_id)).behind == first
    run = await scene.claim_one()
    assert (run.id, run.events) == (first, 1000)
    await scene.succeed(run)
    assert (await scene.claim_one()).events == 2


async def test_a_run_behind_without_room_stays_behind(scene: Scene) -> None:
    """Nothing is cut off: the failed run keeps its events, and is tried again before the one behind it."""
    await scene.ask()
    run = await scene.claim_one()
    for _ in range(1000):
        scene.later(request())
    full = (await scene.accept_later())[0].decisions[0].run_id
    assert (await scene.fail(run)).state is State.RETRYING

    assert (await scene.run(full)).behind == run.id
    scene.wait(10 * SECOND)
    again = await scene.claim_one()
    assert again.id == run.id
    await scene.succeed(again)
    assert (await scene.claim_one()).id == full


async def test_a_retrying_run_without_room_is_followed_not_superseded(scene: Scene) -> None:
    for _ in range(1000):
        scene.later(request())
    await scene.accept_later()
    run = await scene.claim_one()
    await scene.fail(run)
    newer = await scene.ask()

    assert (await scene.run(newer.run_id)).behind == run.id
    assert (await scene.run(run.id)).state == State.RETRYING


async def test_a_run_merges_sixteen_mebibytes_and_no_more(scene: Scene) -> None:
    large = b'"' + (8 * 2**20 - 2) * b"a" + b'"'
    first, second = [await scene.ask(body=large) for _ in range(2)]
    third = await scene.ask(body=b"1")

    assert second.run_id == first.run_id
    assert (await scene.run(first.run_id)).size == 16 * 2**20
    assert (third.decision, (await scene.run(third.run_id)).behind) == (Verb.ENQUEUED, first.run_id)


async def test_the_chain_behind_a_cancelled_full_run_closes_up(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    for _ in range(1000):
        scene.later(request())
    full = (await scene.accept_later())[0].decisions[0].run_id
    last = await scene.ask()
    await scene.cancel(full)

    assert (await scene.run(last.run_id)).behind == run.id
    await scene.succeed(run)
    assert (await scene.claim_one()).id == last.run_id
