"""Cancelling and retrying by hand."""

import asyncio

import pytest

from gateway.core.errors import Conflict, NotFound
from gateway.core.ids import new_id
from gateway.core.outcome import Cancelled, Succeeded
from gateway.core.request import Verb
from gateway.core.run import State
from gateway.store.leases import cancelled_runs
from gateway.store.schema import keys, runs
from tests.store.scene import SECOND, Scene, request


async def test_a_waiting_run_is_cancelled_at_once(scene: Scene) -> None:
    decision = await scene.ask()
    assert await scene.cancel(decision.run_id, "wrong site") is State.CANCELLED

    row = await scene.run(decision.run_id)
    assert (row.state, row.reason, row.finished_at, row.claimable) == (State.CANCELLED, "wrong site", scene.now, False)
    assert await scene.claim() == []
    assert await scene.rows(keys) == []


async def test_a_retrying_run_is_cancelled_at_once(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    await scene.fail(run)
    assert await scene.cancel(run.id) is State.CANCELLED
    scene.wait(10 * SECOND)

    assert await scene.claim() == []


async def test_a_run_in_progress_is_cancelled_by_its_node(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    assert await scene.cancel(run.id, "wrong site") is State.RUNNING
    assert await cancelled_runs(scene.database, scene.node.id) == [run.id]
    ended = await scene.end(run, Cancelled())

    assert (ended.state, (await scene.run(run.id)).reason) == (State.CANCELLED, "wrong site")
    assert await cancelled_runs(scene.database, scene.node.id) == []


async def test_a_success_that_wins_the_race_stays_a_success(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    await scene.cancel(run.id)

    assert (await scene.end(run, Succeeded())).state is State.SUCCEEDED
    with pytest.raises(Conflict, match="succeeded already"):
        await scene.cancel(run.id)


async def test_a_cancelled_run_is_not_tried_again_however_its_attempt_ends(scene: Scene) -> None:
    await scene.ask(None)
    run = await scene.claim_one()
    await scene.cancel(run.id, "wrong site")
    (ended,) = await scene.crash()

    assert (ended.state, ended.settlement.reason) == (State.CANCELLED, "wrong site")


async def test_cancelling_twice_changes_nothing(scene: Scene) -> None:
    decision = await scene.ask()
    await scene.cancel(decision.run_id, "first")
    before = await scene.run(decision.run_id)
    scene.wait(SECOND)

    assert await scene.cancel(decision.run_id, "second") is State.CANCELLED
    assert await scene.run(decision.run_id) == before


async def test_unknown_runs_are_not_found(scene: Scene) -> None:
    with pytest.raises(NotFound):
        await scene.cancel(new_id())
    with pytest.raises(NotFound):
        await scene.repeat(new_id())


async def test_only_what_is_finished_can_be_retried(scene: Scene) -> None:
    decision = await scene.ask()
    with pytest.raises(Conflict):
        await scene.repeat(decision.run_id)
    run = await scene.claim_one()
    with pytest.raises(Conflict):
        await scene.repeat(run.id)
    await scene.fail(run)
    with pytest.raises(Conflict):
        await scene.repeat(run.id)


async def test_a_retry_leaves_the_old_run_as_it_was(scene: Scene) -> None:
    await scene.ask(None, payload=b'{"a":1}')
    run = await scene.claim_one()
    await scene.give_up(run)
    before = await scene.run(run.id)
    decision = await scene.repeat(run.id)

    assert await scene.run(run.id) == before
    again = await scene.claim_one()
    assert (again.id, again.payload, again.attempt, again.failures) == (decision.run_id, b'{"a":1}', 1, 0)
    assert (again.retried_from, again.requested_by, again.origin_event_id) == (run.id, "me", run.origin_event_id)


async def test_many_cancelled_together_leave_the_chains_whole(scene: Scene) -> None:
    """Among them a run, the full one behind it and the one behind that."""
    await scene.ask()
    run = await scene.claim_one()
    for _ in range(1000):
        scene.later(request())
    full = (await scene.accept_later())[0].decisions[0].run_id
    last = await scene.ask()
    others = [(await scene.ask(f"other {n}")).run_id for n in range(20)]
    states = await asyncio.gather(*(scene.cancel(one) for one in [last.run_id, full, run.id, *others]))

    assert states == [State.CANCELLED, State.CANCELLED, State.RUNNING] + 20 * [State.CANCELLED]
    (hold,) = await scene.rows(keys)
    assert hold.run_id == run.id
    after = await scene.ask()
    assert (after.decision, (await scene.run(after.run_id)).behind) == (Verb.ENQUEUED, run.id)


async def test_many_retried_together_meet_in_their_keys(scene: Scene) -> None:
    old = []
    for n in range(12):
        await scene.ask(f"key {n % 3}", payload=str(n).encode())
        run = await scene.claim_one()
        await scene.give_up(run)
        old.append(run.id)
    decisions = await asyncio.gather(*(scene.repeat(run_id) for run_id in old))

    assert [one.decision for one in decisions].count(Verb.ENQUEUED) == 3
    assert sorted(run.events for run in await scene.claim()) == [4, 4, 4]
    assert len(await scene.rows(runs)) == 15
