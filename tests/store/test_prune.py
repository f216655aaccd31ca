"""What is too old goes, and nothing that is still needed."""

from datetime import timedelta

from gateway.store.prune import BATCH, Cutoff, prune
from gateway.store.schema import attempts, events, keys, run_events, runs
from tests.store.scene import HOUR, SECOND, Scene, delivery, request

DAY = timedelta(days=1)


async def pruned(scene: Scene, events_after: timedelta = DAY, runs_after: timedelta = DAY) -> int:
    cutoff = Cutoff(events_before=scene.now - events_after, runs_before=scene.now - runs_after, audit_before=scene.now)
    return await scene.database.commit(prune, cutoff)


async def test_old_runs_go_with_all_that_is_theirs(scene: Scene) -> None:
    await scene.accept(request())
    await scene.accept(request())
    run = await scene.claim_one()
    await scene.give_up(run)
    scene.wait(DAY)
    assert await pruned(scene) == 0
    scene.wait(SECOND)
    assert await pruned(scene) == 3

    for table in (runs, events, run_events, attempts, keys):
        assert await scene.rows(table) == []


async def test_runs_may_be_kept_longer_than_events(scene: Scene) -> None:
    await scene.ask()
    await scene.succeed(await scene.claim_one())
    scene.wait(2 * DAY)

    assert await pruned(scene, runs_after=30 * DAY) == 1
    assert len(await scene.rows(runs)) == 1


async def test_an_unfinished_run_keeps_itself_and_its_events(scene: Scene) -> None:
    waiting = [await scene.accept(request()), await scene.accept(request())]
    await scene.accept(request("other"))
    await scene.claim(slots=1)
    scene.wait(365 * DAY)

    assert await pruned(scene) == 0
    assert {one.event_id for one in waiting} <= {row.id for row in await scene.rows(events)}


async def test_an_event_stays_while_its_delivery_is_held(scene: Scene) -> None:
    await scene.accept(delivery=delivery("a", window=7 * DAY))
    scene.wait(6 * DAY)
    assert await pruned(scene) == 0
    assert (await scene.accept(delivery=delivery("a", window=7 * DAY))).duplicate
    scene.wait(DAY)

    assert await pruned(scene) == 1


async def test_a_hold_that_is_over_goes_and_one_that_lasts_stays(scene: Scene) -> None:
    for key, until in (("short", HOUR), ("long", 30 * DAY)):
        await scene.ask(key, until)
        await scene.succeed(await scene.claim_one())
    await scene.ask("busy", HOUR)
    scene.wait(2 * HOUR)
    await pruned(scene)

    assert {row.key for row in await scene.rows(keys)} == {"long", "busy"}


async def test_a_key_whose_run_is_gone_is_free(scene: Scene) -> None:
    await scene.ask("k", 30 * DAY)
    await scene.succeed(await scene.claim_one())
    scene.wait(2 * DAY)
    assert await pruned(scene) == 2
    decision = await scene.ask("k", 30 * DAY)

    assert (await scene.claim_one()).id == decision.run_id


async def test_a_batch_at_a_time(scene: Scene) -> None:
    for _ in range(BATCH + 1):
        scene.later()
    await scene.accept_later()
    scene.wait(2 * DAY)

    assert [await pruned(scene), await pruned(scene), await pruned(scene)] == [BATCH, 1, 0]
