"""Runs that come to nothing: too late for them, or done just before."""

from datetime import timedelta
from typing import Any

import pytest

from gateway.core.once import Until
from gateway.core.outcome import BrokenOff
from gateway.core.request import Priority
from gateway.core.run import State
from gateway.store import lapse as lapse_module
from gateway.store.claim import ClaimedRun
from gateway.store.lapse import EXPIRED, FRESH, Lapsing, has_expired_runs, lapse
from gateway.store.schema import keys, runs
from tests.store.clockwork import Clockwork
from tests.store.query_plan import plan_of
from tests.store.scene import HOUR, MINUTE, NOW, SECOND, TARGET, Scene, request

INSTANT = timedelta.resolution


async def expire(scene: Scene) -> int:
    """As the janitor does."""
    return await scene.database.commit(lapse, Lapsing(limits=scene.limits))


async def freshen(scene: Scene, target: str = TARGET) -> int:
    """As the dispatcher does, where a claim has passed over runs."""
    return await scene.database.commit(lapse, Lapsing(target=target, limits=scene.limits))


async def ask_until(scene: Scene, end: timedelta, key: str | None = "k", **changes: Any) -> str:
    decision = await scene.ask(key, expires_at=scene.now + end, **changes)
    assert decision.run_id is not None
    return decision.run_id


async def succeeded(scene: Scene, key: str | None = "k", lasting: timedelta = timedelta(0), **changes: Any) -> None:
    """A run that started now and succeeds after so long."""
    await scene.ask(key, **changes)
    run = await scene.claim_one(changes.get("target", TARGET))
    scene.wait(lasting)
    await scene.succeed(run)


async def test_what_is_not_started_in_time_is_cancelled(scene: Scene) -> None:
    run_id = await ask_until(scene, HOUR)
    scene.wait(HOUR - INSTANT)
    assert (await has_expired_runs(scene.database), await expire(scene)) == (False, 0)
    scene.wait(INSTANT)
    assert await has_expired_runs(scene.database)
    assert await scene.claim() == []
    assert await expire(scene) == 1

    row = await scene.run(run_id)
    assert (row.state, row.reason, row.finished_at) == (State.CANCELLED, EXPIRED, scene.now)
    assert await scene.rows(keys) == []
    assert (await has_expired_runs(scene.database), await expire(scene)) == (False, 0)


async def test_until_its_last_instant_it_may_start(scene: Scene) -> None:
    await ask_until(scene, HOUR)
    scene.wait(HOUR - INSTANT)

    assert len(await scene.claim()) == 1


async def test_it_expires_wherever_it_waits(scene: Scene) -> None:
    """Before it is due, behind another, and in its lane."""
    await scene.ask("k")
    running = await scene.claim_one()
    behind = await ask_until(scene, MINUTE)
    later = await ask_until(scene, MINUTE, None, due_at=scene.now + HOUR)
    scene.wait(MINUTE)

    assert await expire(scene) == 2
    assert [(await scene.run(run_id)).state for run_id in (behind, later)] == [State.CANCELLED] * 2
    assert (await scene.ask("k")).run_id != behind
    await scene.succeed(running)
    assert len(await scene.claim()) == 1


async def has_started(scene: Scene, run: ClaimedRun, then: str) -> None:
    match then:
        case "runs":
            pass
        case "is tried again":
            await scene.fail(run)
        case "is broken off":
            await scene.settle(run, BrokenOff())
        case _:
            await scene.crash()


STARTED = ["runs", "is tried again", "is broken off", "is lost"]


@pytest.mark.parametrize("then", STARTED)
async def test_what_has_been_started_is_carried_through(scene: Scene, then: str) -> None:
    """However late that is, and whatever has succeeded meanwhile."""
    run_id = await ask_until(scene, HOUR, fresh_for=HOUR)
    await has_started(scene, await scene.claim_one(), then)
    scene.wait(2 * HOUR)
    await succeeded_beside(scene)

    assert (await expire(scene), await freshen(scene)) == (0, 0)
    assert (await scene.run(run_id)).state != State.CANCELLED
    assert len(await scene.claim()) == (0 if then == "runs" else 1)


async def succeeded_beside(scene: Scene) -> None:
    """Another run of the same key, that does not hold it."""
    await scene.ask("k", None, priority=Priority.HIGH)
    await scene.succeed(await scene.claim_one(slots=1))


@pytest.mark.parametrize("ends", [HOUR, None])
async def test_what_merges_another_request_lives_as_long_as_that(scene: Scene, ends: timedelta | None) -> None:
    """A trigger's request never comes to nothing because of the tick that it met."""
    run_id = await ask_until(scene, MINUTE)
    merged = await scene.ask("k", expires_at=ends and scene.now + ends)
    assert merged.run_id == run_id
    scene.wait(MINUTE)
    assert await expire(scene) == 0
    scene.wait(HOUR - MINUTE)

    assert await expire(scene) == (0 if ends is None else 1)
    assert len(await scene.claim()) == (1 if ends is None else 0)


async def test_a_request_does_not_expire_because_it_merges_a_tick(scene: Scene) -> None:
    asked = await scene.ask("k")
    await ask_until(scene, MINUTE, fresh_for=HOUR)
    scene.wait(HOUR)

    assert await expire(scene) == 0
    assert (await scene.claim_one()).id == asked.run_id


@pytest.mark.parametrize("order", ["waits behind it", "comes after it"])
async def test_what_takes_over_from_a_started_run_is_carried_through(scene: Scene, order: str) -> None:
    """It has the events of both."""
    await scene.ask("k")
    run = await scene.claim_one()
    if order == "comes after it":
        await scene.fail(run)
    newer = await ask_until(scene, MINUTE, fresh_for=HOUR)
    if order == "waits behind it":
        await scene.fail(run)
    await ask_until(scene, MINUTE, fresh_for=HOUR)
    scene.wait(HOUR)

    assert await expire(scene) == 0
    claimed = await scene.claim_one()
    assert (claimed.id, claimed.events) == (newer, 3)


async def test_what_expires_behind_another_leaves_it_as_it_is(scene: Scene) -> None:
    await scene.ask("k")
    run = await scene.claim_one()
    await ask_until(scene, SECOND)
    scene.wait(SECOND)
    await expire(scene)
    await scene.fail(run)
    scene.wait(10 * SECOND)

    again = await scene.claim_one()
    assert (again.id, again.events) == (run.id, 1)


@pytest.mark.parametrize(
    ("ago", "is_fresh"), [(HOUR - INSTANT, True), (HOUR, False), (HOUR + INSTANT, False), (MINUTE, True)]
)
async def test_what_has_just_been_done_is_not_done_again(scene: Scene, ago: timedelta, is_fresh: bool) -> None:
    """It counts when the other one *started*, however long it took."""
    await succeeded(scene, lasting=ago)
    asked = await scene.ask("k", fresh_for=HOUR)
    claimed = await scene.claim()

    assert len(claimed) == (not is_fresh)
    assert await freshen(scene) == is_fresh
    row = await scene.run(asked.run_id)
    assert (row.state, row.reason) == ((State.CANCELLED, FRESH) if is_fresh else (State.RUNNING, None))


async def test_a_run_that_was_tried_again_started_with_its_first_attempt(scene: Scene) -> None:
    await scene.ask("k")
    await scene.fail(await scene.claim_one())
    scene.wait(HOUR)
    await scene.succeed(await scene.claim_one())
    await scene.ask("k", fresh_for=HOUR)

    assert await freshen(scene) == 0
    assert len(await scene.claim()) == 1


@pytest.mark.parametrize(
    ("done", "asked"),
    [
        ({"key": "another"}, {}),
        ({"key": None}, {}),
        ({"key": "k"}, {"key": None}),
        ({"key": "k"}, {"target": "another"}),
    ],
)
async def test_only_a_run_of_the_same_target_and_key_makes_it_fresh(
    scene: Scene, done: dict[str, Any], asked: dict[str, Any]
) -> None:
    await succeeded(scene, **done)
    decision = await scene.ask(**asked, fresh_for=HOUR)

    assert [await freshen(scene, target) for target in (TARGET, "another")] == [0, 0]
    assert (await scene.run(decision.run_id)).state == State.QUEUED


@pytest.mark.parametrize("end", ["given up", "cancelled", "running"])
async def test_only_a_run_that_has_succeeded_makes_it_fresh(scene: Scene, end: str) -> None:
    await scene.ask("k", None)
    run = await scene.claim_one()
    if end == "cancelled":
        await scene.cancel(run.id)
    if end != "running":
        await scene.give_up(run)
    asked = await scene.ask("k", fresh_for=HOUR)

    assert await freshen(scene) == 0
    assert (await scene.claim_one()).id == asked.run_id


async def test_it_is_looked_at_when_it_would_be_claimed(scene: Scene) -> None:
    """Not before it is due, and not while another is in its way: that may fail, or succeed."""
    await succeeded(scene)
    await scene.ask("k", fresh_for=HOUR, due_at=scene.now + 30 * MINUTE)
    assert await freshen(scene) == 0
    scene.wait(30 * MINUTE)

    assert await scene.claim() == []
    assert await freshen(scene) == 1


async def test_what_waited_behind_a_run_that_succeeds_is_fresh_then(scene: Scene) -> None:
    await scene.ask("k")
    run = await scene.claim_one()
    await scene.ask("k", fresh_for=HOUR)
    assert await freshen(scene) == 0
    await scene.succeed(run)

    assert (await scene.claim(), await freshen(scene)) == ([], 1)
    assert await scene.rows(keys) == []


@pytest.mark.parametrize("span", [None, 10 * SECOND])
async def test_what_merges_another_request_is_as_fresh_as_the_least_patient(
    scene: Scene, span: timedelta | None
) -> None:
    """A trigger's request merges into a tick that would be skipped: it is carried out."""
    await succeeded(scene)
    scene.wait(MINUTE)
    await scene.ask("k", fresh_for=HOUR)
    await scene.ask("k", fresh_for=span)

    assert await freshen(scene) == 0
    assert len(await scene.claim()) == 1


async def test_only_runs_of_the_target_that_is_looked_at_are_fresh(scene: Scene) -> None:
    await succeeded(scene)
    await scene.ask("k", fresh_for=HOUR)

    assert await freshen(scene, "another") == 0
    assert await freshen(scene) == 1


async def test_others_are_not_kept_waiting_by_what_lapses(scene: Scene) -> None:
    """A claim passes over it, even if nobody has cancelled it yet."""
    await succeeded(scene, "done")
    await ask_until(scene, SECOND, "late")
    await scene.ask("done", fresh_for=HOUR)
    wanted = await scene.ask("wanted")
    scene.wait(SECOND)

    assert [run.id for run in await scene.claim(slots=1)] == [wanted.run_id]


async def test_a_backlog_that_cannot_be_fresh_is_not_gone_through(scene: Scene) -> None:
    """So that a million runs that only wait for a slot cost nothing, each second."""
    for _ in range(2000):
        scene.later(request(None))
    await scene.accept_later()
    if not scene.is_sqlite:
        async with scene.aside() as connection:
            await connection.exec_driver_sql("ANALYZE runs")
            await connection.commit()
    plan = await plan_of(scene.database, lapse, Lapsing(target=TARGET), "SELECT")

    assert "runs_to_be_fresh" in plan
    assert "runs_claimable" not in plan


async def test_there_is_an_end_to_what_lapses_at_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lapse_module, "BATCH", 2)
    for number in range(5):
        await ask_until(scene, SECOND, str(number))
    scene.wait(SECOND)

    assert [await expire(scene) for _ in range(4)] == [2, 2, 1, 0]


async def test_a_tick_expires_by_its_instant_and_not_by_when_it_was_made(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create(cron="0 * * * *", expires="90m", misfire={"grace": "3h"})
    await clockwork.turn(2 * HOUR + 20 * MINUTE)
    (row,) = await clockwork.runs()
    assert (row.scheduled_for, row.expires_at) == (NOW + 2 * HOUR, NOW + 2 * HOUR + 90 * MINUTE)
    scene.wait(70 * MINUTE - INSTANT)
    assert await expire(scene) == 0
    scene.wait(INSTANT)

    assert await expire(scene) == 1


async def test_a_tick_that_is_too_late_from_the_start_comes_to_nothing(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create(cron="0 * * * *", expires="30m")
    await clockwork.turn(HOUR + 31 * MINUTE)

    assert await scene.claim() == []
    assert await expire(scene) == 1
    assert [row.reason for row in await clockwork.runs()] == [EXPIRED]


async def test_a_tick_after_a_fresh_run_of_a_trigger_is_skipped(scene: Scene, clockwork: Clockwork) -> None:
    """The nightly full sync, just after somebody has had it done."""
    await clockwork.create(fresh_for="2h", once={"key": "full"})
    await succeeded(scene, "full", until=Until.FINISHED)
    await clockwork.turn(MINUTE)

    assert await scene.claim() == []
    assert await freshen(scene) == 1
    assert [row.reason for row in await scene.rows(runs, runs.c.schedule.is_not(None))] == [FRESH]
