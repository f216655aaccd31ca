"""Runs whose calls have started a job at the target that may go on without us."""

from dataclasses import replace
from typing import Any

import orjson

from gateway.core.breaker import Breaker
from gateway.core.outcome import BrokenOff, Cancelled, Lost, PermanentFailure, RetryableFailure, Succeeded
from gateway.store.claim import ClaimedRun
from gateway.store.handles import Checkpoint, keep_handles
from gateway.store.lanes import LaneLimit
from gateway.store.leases import describe
from gateway.store.settle import Job
from tests.store.scene import MINUTE, SECOND, TARGET, Scene

HANDLE = {"started": {"json": {"id": "job-1"}}}


async def keep(scene: Scene, run: ClaimedRun, **changes: Any) -> bool:
    wanted = Checkpoint(run_id=run.id, node_id=run.node_id, attempt=run.attempt, handle=orjson.dumps(HANDLE))
    return await scene.database.commit(keep_handles, replace(wanted, **changes))


GOES_ON = Job(handle=HANDLE, following=True)
HAS_ENDED = Job(handle=HANDLE, following=False)


async def test_a_handle_is_there_for_the_next_attempt(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    assert (run.handle, run.following) == (None, False)

    assert await keep(scene, run)
    await scene.end(run, BrokenOff(), job=GOES_ON)

    again = await scene.claim_one()
    assert again.handle == orjson.dumps(HANDLE)
    assert again.following


async def test_a_handle_outlives_the_node_that_kept_it(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    await keep(scene, run)

    await scene.end(run, Lost())

    again = await scene.claim_one()
    assert (again.handle, again.following) == (orjson.dumps(HANDLE), True)


async def test_what_must_not_be_called_twice_is_followed_all_the_same(scene: Scene) -> None:
    """`on_lost: fail` is for calls whose fate nobody knows."""
    await scene.ask()
    run = await scene.claim_one()
    await keep(scene, run)

    ended = await scene.end(run, Lost(), repeat_lost=False)

    assert ended.state == "retrying"


async def test_only_the_node_whose_attempt_it_is_can_keep_a_handle(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()

    assert not await keep(scene, run, attempt=2)
    assert not await keep(scene, run, node_id="0198c0de-0000-7000-8000-00000000000f")
    await scene.end(run, Succeeded())
    assert not await keep(scene, run)


async def test_a_newer_run_waits_behind_one_that_follows_its_job(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    newer = await scene.ask()
    await keep(scene, run)

    ended = await scene.end(run, RetryableFailure(), job=GOES_ON)

    assert (ended.state, ended.superseded_by) == ("retrying", None)
    scene.wait(MINUTE)
    again = await scene.claim_one()
    assert again.id == run.id
    await scene.end(again, Succeeded(), job=HAS_ENDED)
    assert (await scene.claim_one()).id == newer.run_id


async def test_what_arrives_while_the_job_is_to_be_followed_goes_behind_it(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    await scene.end(run, RetryableFailure(), job=GOES_ON)

    newer = await scene.ask()

    assert "goes behind it" in str(newer.reason)
    scene.wait(MINUTE)
    assert [claimed.id for claimed in await scene.claim()] == [run.id]


async def test_a_run_whose_job_has_ended_is_superseded_as_any_other(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    newer = await scene.ask()
    await keep(scene, run)

    ended = await scene.end(run, RetryableFailure(), job=HAS_ENDED)

    assert (ended.state, ended.superseded_by) == ("superseded", newer.run_id)


async def test_no_other_job_is_started_beside_one_that_goes_on_between_two_attempts(scene: Scene) -> None:
    """P4: what the limit keeps apart are the jobs, whoever looks at them at the moment."""
    await scene.ask(None)
    run = await scene.claim_one(limit=1)
    other = await scene.ask(None)
    await scene.end(run, RetryableFailure(), job=GOES_ON)

    assert await scene.claim(limit=1) == []
    assert [one.id for one in await scene.claim(limit=2)] == [other.run_id]


async def test_who_takes_over_from_a_dead_node_follows_its_job_before_anything_is_started(scene: Scene) -> None:
    await scene.ask(None)
    run = await scene.claim_one(limit=1)
    await keep(scene, run)
    await scene.ask(None)
    scene.wait(SECOND)
    await scene.crash()

    again = await scene.claim_one(limit=1)
    assert again.id == run.id

    await scene.end(again, RetryableFailure(), job=HAS_ENDED)
    assert (await scene.claim_one(limit=1)).id != run.id


async def test_a_job_that_goes_on_keeps_the_seat_of_its_key(scene: Scene) -> None:
    scene.limits[TARGET] = LaneLimit(1, ordered=False)
    await scene.ask(None, lane="a")
    run = await scene.claim_one()
    await scene.ask(None, lane="a")
    elsewhere = await scene.ask(None, lane="b")

    await scene.end(run, RetryableFailure(), job=GOES_ON)

    assert [one.id for one in await scene.claim()] == [elsewhere.run_id]
    scene.wait(MINUTE)
    assert [one.id for one in await scene.claim()] == [run.id]


async def test_a_breaker_that_lets_one_call_probe_does_not_wait_for_a_job_that_goes_on(scene: Scene) -> None:
    await scene.ask(None)
    run = await scene.claim_one()
    other = await scene.ask(None)
    once = Breaker(failures=1, pause=SECOND)
    await scene.end(run, RetryableFailure(reached=False), job=GOES_ON, breaker=once)
    scene.wait(SECOND)

    assert [one.id for one in await scene.claim()] == [other.run_id]


async def test_a_job_whose_target_no_node_knows_keeps_nobody_from_cancelling_its_run(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    await scene.end(run, BrokenOff(), job=GOES_ON)

    await describe(scene.database, replace(scene.node, targets=()))

    assert await scene.cancel(run.id) == "cancelled"


async def test_cancelling_a_run_between_its_attempts_has_its_job_cancelled(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    await scene.end(run, RetryableFailure(), job=GOES_ON)

    assert await scene.cancel(run.id) == "retrying"

    again = await scene.claim_one()
    assert again.cancelling
    assert (await scene.end(again, Cancelled(), job=HAS_ENDED)).state == "cancelled"


async def test_a_node_that_dies_before_it_has_cancelled_the_job_leaves_that_to_the_next(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    await keep(scene, run)
    await scene.cancel(run.id)

    assert (await scene.end(run, Lost())).state == "retrying"

    again = await scene.claim_one()
    assert (again.cancelling, again.following) == (True, True)
    scene.wait(SECOND)
    assert (await scene.end(again, Cancelled(), job=HAS_ENDED)).state == "cancelled"


async def test_a_retry_by_hand_goes_on_with_the_job_of_the_run_that_failed(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    await scene.end(run, PermanentFailure(), job=HAS_ENDED)

    await scene.repeat(run.id)

    again = await scene.claim_one()
    assert (again.handle, again.following) == (orjson.dumps(HANDLE), False)


async def test_a_retry_by_hand_of_what_was_done_or_called_off_starts_anew(scene: Scene) -> None:
    for outcome in (Succeeded(), Cancelled()):
        await scene.ask()
        run = await scene.claim_one()
        await scene.end(run, outcome, job=HAS_ENDED)

        await scene.repeat(run.id)

        again = await scene.claim_one()
        assert (again.handle, again.following) == (None, False)
        await scene.end(again, Succeeded())


async def test_a_job_that_may_go_on_is_followed_by_the_retry_too(scene: Scene) -> None:
    """Its cancellation was not confirmed, or its deadline has passed."""
    await scene.ask()
    run = await scene.claim_one()
    await scene.cancel(run.id)
    assert (await scene.end(run, Cancelled(), job=GOES_ON)).state == "cancelled"

    await scene.repeat(run.id)

    again = await scene.claim_one()
    assert (again.handle, again.following) == (orjson.dumps(HANDLE), True)
