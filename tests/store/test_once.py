"""The enqueue-once table, each cell of it from the request to the row."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from gateway.core.once import Until
from gateway.core.request import Priority, Verb
from gateway.core.run import State
from gateway.store.schema import keys, runs
from tests.store.scene import HOUR, SECOND, Scene, request

STARTED, FINISHED = Until

Ask = Until | timedelta | None


async def nobody(scene: Scene, until: Ask) -> None:
    """The key is free."""


async def waiting(scene: Scene, until: Ask) -> None:
    await scene.ask(until=until)


async def running(scene: Scene, until: Ask) -> None:
    await scene.ask(until=until)
    await scene.claim_one()


async def retrying(scene: Scene, until: Ask) -> None:
    await scene.ask(until=until)
    await scene.fail(await scene.claim_one())


async def cancelling(scene: Scene, until: Ask) -> None:
    await scene.ask(until=until)
    await scene.cancel((await scene.claim_one()).id)


async def succeeded(scene: Scene, until: Ask) -> None:
    await scene.ask(until=until)
    await scene.succeed(await scene.claim_one())


async def failed(scene: Scene, until: Ask) -> None:
    await scene.ask(until=until)
    await scene.give_up(await scene.claim_one())


async def cancelled(scene: Scene, until: Ask) -> None:
    await scene.cancel((await scene.ask(until=until)).run_id)


Holder = Callable[[Scene, Ask], Awaitable[None]]
CELLS: dict[Holder, tuple[str, str, str, str, str]] = {
    #           started      finished     duration     duration over  no once
    nobody:     ("new",       "new",       "new",       "new",       "new"),
    waiting:    ("merge",     "merge",     "merge",     "merge",     "new"),
    running:    ("behind",    "duplicate", "duplicate", "behind",    "new"),
    retrying:   ("supersede", "duplicate", "duplicate", "duplicate", "new"),
    cancelling: ("behind",    "behind",    "behind",    "behind",    "new"),
    succeeded:  ("new",       "new",       "duplicate", "new",       "new"),
    failed:     ("new",       "new",       "new",       "new",       "new"),
    cancelled:  ("new",       "new",       "new",       "new",       "new"),
}  # fmt: skip
COLUMNS: tuple[tuple[Ask, timedelta], ...] = (
    (STARTED, timedelta(0)),
    (FINISHED, timedelta(0)),
    (HOUR, timedelta(0)),
    (HOUR, HOUR),
    (None, timedelta(0)),
)


async def verdict(scene: Scene, until: Ask) -> str:
    """What becomes of a request, as the rows tell it."""
    before = {row.id: row for row in await scene.rows(runs)}
    decision = await scene.ask("k" if until is not None else None, until, payload=b'"newer"')
    after = {row.id: row for row in await scene.rows(runs)}
    run = after[decision.run_id or ""]
    match decision.decision:
        case Verb.DUPLICATE:
            assert after == before
            return "duplicate"
        case Verb.MERGED:
            assert after.keys() == before.keys()
            assert (run.events, run.payload) == (2, b'"newer"')
            return "merge"
    assert decision.decision is Verb.ENQUEUED
    assert after.keys() - before.keys() == {run.id}
    superseded = [row for row in after.values() if row.superseded_by == run.id]
    if superseded:
        assert (superseded[0].state, run.events) == (State.SUPERSEDED, 2)
        return "supersede"
    assert run.claimable is (run.behind is None)
    assert run.behind is None or run.behind in before
    return "behind" if run.behind else "new"


@pytest.mark.parametrize("column", range(5), ids=["started", "finished", "duration", "duration-over", "no-once"])
@pytest.mark.parametrize("holder", CELLS, ids=lambda holder: holder.__name__)
async def test_each_cell_of_the_table(scene: Scene, holder: Holder, column: int) -> None:
    until, passed = COLUMNS[column]
    await holder(scene, STARTED if until is None else until)
    scene.wait(passed)

    assert await verdict(scene, until) == CELLS[holder][column]


async def test_all_that_comes_during_a_run_makes_one_further_run(scene: Scene) -> None:
    first = await scene.ask()
    run = await scene.claim_one()
    asked = [await scene.ask(payload=str(n).encode()) for n in range(50)]

    assert [one.decision for one in asked] == [Verb.ENQUEUED] + 49 * [Verb.MERGED]
    (behind,) = {one.run_id for one in asked}
    assert await scene.claim() == []
    await scene.succeed(run)
    further = await scene.claim_one()
    assert (further.id, further.events, further.payload) == (behind, 50, b"49")
    assert first.run_id != behind


async def test_the_run_behind_supersedes_one_that_fails_retryably(scene: Scene) -> None:
    first = await scene.accept(request())
    run = await scene.claim_one()
    second = await scene.accept(request(payload=b"2"))
    ended = await scene.fail(run)

    assert (ended.state, ended.superseded_by) == (State.SUPERSEDED, second.decisions[0].run_id)
    older, newer = await scene.run(run.id), await scene.run(ended.superseded_by)
    assert (older.state, older.superseded_by, older.finished_at) == (State.SUPERSEDED, newer.id, scene.now)
    assert newer.due_at == scene.now + 10 * SECOND
    assert (newer.events, newer.payload) == (2, b"2")
    assert await scene.event_ids(newer.id) == [first.event_id, second.event_id]
    assert await scene.claim() == []
    scene.wait(10 * SECOND)
    assert (await scene.claim_one()).id == newer.id


async def test_superseding_a_retrying_run_waits_for_its_next_retry(scene: Scene) -> None:
    first = await scene.accept(request())
    run = await scene.claim_one()
    await scene.fail(run)
    scene.wait(3 * SECOND)
    second = await scene.accept(request(priority=Priority.HIGH))
    newer = second.decisions[0].run_id

    assert (await scene.run(newer)).due_at == scene.now + 7 * SECOND
    third = await scene.accept(request(priority=Priority.HIGH))  # a merge does not go below either
    assert third.decisions[0].run_id == newer
    assert (await scene.run(newer)).due_at == scene.now + 7 * SECOND
    assert await scene.event_ids(newer) == [first.event_id, second.event_id, third.event_id]


async def test_takeovers_add_up_over_a_chain_of_failures(scene: Scene) -> None:
    accepted = [await scene.accept(request())]
    for _ in range(4):
        run = await scene.claim_one()
        accepted.append(await scene.accept(request()))
        await scene.fail(run)
        scene.wait(10 * SECOND)
    last = await scene.claim_one()

    assert last.events == 5
    assert await scene.event_ids(last.id) == [one.event_id for one in accepted]
    assert await scene.states() == 4 * [State.SUPERSEDED] + [State.RUNNING]


async def test_a_run_behind_goes_on_when_its_forerunner_is_given_up_or_cancelled(scene: Scene) -> None:
    for end in (scene.give_up, scene.succeed):
        await scene.ask()
        run = await scene.claim_one()
        behind = await scene.ask()
        await end(run)
        further = await scene.claim_one()
        assert further.id == behind.run_id
        await scene.succeed(further)

    assert await scene.rows(keys) == []


async def test_cancelling_the_run_behind_hands_the_key_back(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    behind = await scene.ask()
    await scene.cancel(behind.run_id)
    again = await scene.ask()

    assert (await scene.run(again.run_id)).behind == run.id
    await scene.fail(run)
    assert (await scene.run(run.id)).superseded_by == again.run_id


async def test_once_finished_run_cancelled_with_one_behind_it_lets_it_go(scene: Scene) -> None:
    await scene.ask(until=FINISHED)
    run = await scene.claim_one()
    await scene.cancel(run.id)
    behind = await scene.ask(until=FINISHED)
    assert (await scene.fail(run)).state is State.CANCELLED

    assert (await scene.claim_one()).id == behind.run_id


async def test_a_key_lasts_as_long_as_its_hold_and_no_longer(scene: Scene) -> None:
    """X06: the edges of a duration, and the key of a run that failed."""
    first = await scene.ask(until=HOUR)
    await scene.succeed(await scene.claim_one())
    scene.wait(HOUR - SECOND)
    assert (await scene.ask(until=HOUR)).decision is Verb.DUPLICATE
    scene.wait(2 * SECOND)
    second = await scene.ask(until=HOUR)
    assert (second.decision, second.run_id == first.run_id) == (Verb.ENQUEUED, False)
    await scene.give_up(await scene.claim_one())
    assert (await scene.ask(until=HOUR)).decision is Verb.ENQUEUED


async def test_a_duration_holds_the_key_of_a_run_that_another_request_made(scene: Scene) -> None:
    first = await scene.ask()
    assert (await scene.ask(until=HOUR)).decision is Verb.MERGED
    await scene.succeed(await scene.claim_one())

    again = await scene.ask(until=HOUR)

    assert (again.decision, again.run_id) == (Verb.DUPLICATE, first.run_id)


async def test_requests_of_different_triggers_meet_in_a_key(scene: Scene) -> None:
    one = await scene.ask(trigger="one")
    other = await scene.ask(trigger="other")
    elsewhere = await scene.ask(target="elsewhere")

    assert (other.decision, other.run_id) == (Verb.MERGED, one.run_id)
    assert elsewhere.decision is Verb.ENQUEUED


async def test_two_requests_of_one_event_with_the_same_key_count_it_once(scene: Scene) -> None:
    accepted = await scene.accept(request(trigger="one"), request(trigger="other", payload=b"2"))

    assert [one.decision for one in accepted.decisions] == [Verb.ENQUEUED, Verb.MERGED]
    run = await scene.claim_one()
    assert (run.events, run.payload) == (1, b"2")


async def test_a_claimed_run_is_frozen(scene: Scene) -> None:
    first = await scene.accept(request(payload=b"1"))
    run = await scene.claim_one()
    before = await scene.run(run.id)
    await scene.ask(payload=b"2")

    assert await scene.run(run.id) == before
    assert await scene.event_ids(run.id) == [first.event_id]


async def test_a_retried_run_is_called_with_what_it_was_called_with_before(scene: Scene) -> None:
    await scene.ask(until=FINISHED, payload=b"1")
    first = await scene.claim_one()
    await scene.fail(first)
    assert (await scene.ask(until=FINISHED, payload=b"2")).decision is Verb.DUPLICATE
    scene.wait(10 * SECOND)
    again = await scene.claim_one()

    assert (again.id, again.payload, again.events, again.attempt) == (first.id, b"1", 1, 2)


async def test_x06_a_hundred_at_once_make_one_run(scene: Scene) -> None:
    decisions = await asyncio.gather(*(scene.ask() for _ in range(100)))

    assert len({one.run_id for one in decisions}) == 1
    assert sorted(one.decision for one in decisions) == [Verb.ENQUEUED] + 99 * [Verb.MERGED]
    assert (await scene.claim_one()).events == 100
