"""Continuous schedules: the end of a run makes the next tick, and nothing makes two."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from gateway.core.outcome import Cancelled, Outcome, PermanentFailure, RetryableFailure, Succeeded
from gateway.core.request import Verb
from gateway.core.run import State
from gateway.core.template import Tree
from gateway.store.claim import ClaimedRun
from gateway.store.continuous import stalled_schedules
from gateway.store.schema import runs, schedules
from tests.store.clockwork import NIGHTLY, Clockwork, configured
from tests.store.scene import HOUR, MINUTE, NOW, SECOND, Scene, all_of


async def begin(clockwork: Clockwork, **fields: Any) -> ClaimedRun:
    """The first run, in progress."""
    await clockwork.create(**{"continuous": True, **fields})
    await clockwork.turn()
    return await clockwork.scene.claim_one()


async def waiting(clockwork: Clockwork) -> list[tuple[State, datetime]]:
    """The runs of the schedule that are not over, and when they are due."""
    return [(State(row.state), row.due_at) for row in await clockwork.runs() if row.finished_at is None]


async def test_the_first_starts_at_once(scene: Scene, clockwork: Clockwork) -> None:
    run = await begin(clockwork, pause="30s")

    assert (run.due_at, run.schedule) == (NOW, NIGHTLY)
    one = await clockwork.stored()
    assert (one.next_at, one.ticks, one.last_run_id) == (None, 1, run.id)


async def test_the_end_of_a_run_makes_the_next_tick(scene: Scene, clockwork: Clockwork) -> None:
    run = await begin(clockwork, pause="30s")
    scene.wait(MINUTE)
    await clockwork.settle(run, Succeeded())

    assert await waiting(clockwork) == [(State.QUEUED, scene.now + 30 * SECOND)]
    one, (_, new) = await clockwork.stored(), await clockwork.runs()
    assert (one.next_at, one.ticks, one.last_run_id) == (None, 2, new.id)
    assert one.last_tick_at == new.scheduled_for == scene.now + 30 * SECOND
    assert await clockwork.verbs() == [[Verb.ENQUEUED], [Verb.ENQUEUED]]


async def test_it_goes_on_and_on_without_a_leader(scene: Scene, clockwork: Clockwork) -> None:
    run = await begin(clockwork, pause="1s")
    for _ in range(5):
        await clockwork.settle(run, Succeeded())
        scene.wait(SECOND)
        run = await scene.claim_one()

    assert (await clockwork.stored()).ticks == 6


async def test_runs_that_fail_make_longer_pauses_up_to_the_breakers(scene: Scene, clockwork: Clockwork) -> None:
    """30 s, doubling, up to 10 minutes; and as ever again after a success."""
    run = await begin(clockwork, pause="1s")
    pauses = []
    for outcome in [PermanentFailure()] * 6 + [Succeeded(), PermanentFailure()]:
        await clockwork.settle(run, outcome)
        ((_, due_at),) = await waiting(clockwork)
        pauses.append((due_at - scene.now) // SECOND)
        scene.wait(due_at - scene.now)
        run = await scene.claim_one()

    assert pauses == [30, 60, 120, 240, 480, 600, 1, 30]


async def test_what_is_tried_again_is_not_over(scene: Scene, clockwork: Clockwork) -> None:
    run = await begin(clockwork)
    await clockwork.settle(run, RetryableFailure())

    assert await waiting(clockwork) == [(State.RETRYING, scene.now + 10 * SECOND)]
    assert await stalled_schedules(scene.database) == []


async def test_a_cancelled_run_says_nothing_about_the_next(scene: Scene, clockwork: Clockwork) -> None:
    run = await begin(clockwork, pause="5s")
    await clockwork.settle(run, PermanentFailure())
    scene.wait(30 * SECOND)
    run = await scene.claim_one()
    await scene.cancel(run.id)
    await clockwork.settle(run, Cancelled())

    assert await waiting(clockwork) == [(State.QUEUED, scene.now + 30 * SECOND)]
    assert (await clockwork.stored()).failures == 1


async def test_p5_the_same_end_twice_makes_one_tick(scene: Scene, clockwork: Clockwork) -> None:
    run = await begin(clockwork)
    await all_of(*[clockwork.settle(run, Succeeded()) for _ in range(3)])
    await clockwork.settle(run, Succeeded())

    assert len(await clockwork.runs()) == len(await clockwork.ticks()) == 2


async def test_the_end_of_another_run_makes_no_tick(scene: Scene, clockwork: Clockwork) -> None:
    """Such as one that was forced by hand, or asked for by a trigger."""
    await begin(clockwork)
    await scene.ask(None, schedule=NIGHTLY)
    await scene.ask("other")
    for run in await scene.claim():
        await clockwork.settle(run, Succeeded())

    assert (await clockwork.stored()).ticks == 1


async def test_the_leader_waits_for_a_run_that_is_not_over(scene: Scene, clockwork: Clockwork) -> None:
    """Also where two leaders look, or one after a change."""
    await begin(clockwork)
    for _ in range(2):
        await clockwork.look_again()
        await clockwork.turn(SECOND)
    await clockwork.replace(continuous=True, pause="5s")
    await clockwork.turn(SECOND)

    assert len(await clockwork.runs()) == 1
    assert (await clockwork.stored()).next_at is None


@pytest.mark.parametrize("ended", ["cancelled while it waits", "unknown to the node", "pruned"])
async def test_a_schedule_whose_run_ended_otherwise_is_found(scene: Scene, clockwork: Clockwork, ended: str) -> None:
    await clockwork.create(continuous=True)
    await clockwork.turn()
    (row,) = await clockwork.runs()
    assert await stalled_schedules(scene.database) == []
    if ended == "unknown to the node":
        await scene.succeed(await scene.claim_one())
        assert (await clockwork.stored()).next_at == scene.now
    else:
        await scene.cancel(row.id)
        if ended == "pruned":
            scene.wait(HOUR)
            await scene.database.transact(lambda connection: connection.execute(delete(runs)))
            assert await scene.rows(runs) == []
        assert await stalled_schedules(scene.database) == [NIGHTLY]
        await clockwork.look_again()
    await clockwork.turn()

    assert len(await waiting(clockwork)) == 1
    assert await stalled_schedules(scene.database) == []


@pytest.mark.parametrize("stopped", ["pause", "disable", "remove", "make it hourly"])
async def test_what_was_stopped_meanwhile_does_not_go_on(scene: Scene, clockwork: Clockwork, stopped: str) -> None:
    run = await begin(clockwork)
    match stopped:
        case "pause":
            await clockwork.pause()
        case "disable":
            await clockwork.replace(continuous=True, enabled=False)
        case "remove":
            await clockwork.remove()
        case _:
            await clockwork.replace(cron="0 * * * *")
    await clockwork.settle(run, Succeeded())
    await clockwork.turn()

    assert await waiting(clockwork) == []
    assert await stalled_schedules(scene.database) == []


async def test_a_pause_that_is_over_lets_it_go_on(scene: Scene, clockwork: Clockwork) -> None:
    run = await begin(clockwork)
    await clockwork.pause(lasting=HOUR)
    await clockwork.settle(run, Succeeded())
    await clockwork.turn(HOUR - SECOND)
    assert await waiting(clockwork) == []
    await clockwork.turn(SECOND)

    assert await waiting(clockwork) == [(State.QUEUED, scene.now)]


async def test_a_pause_that_ends_during_the_run_leaves_no_trace(scene: Scene, clockwork: Clockwork) -> None:
    run = await begin(clockwork)
    await clockwork.pause()
    await clockwork.resume()
    await clockwork.turn()
    await clockwork.settle(run, Succeeded())
    await clockwork.turn()

    assert len(await waiting(clockwork)) == 1


async def test_a_pause_that_the_end_of_the_run_finds_over_leaves_no_trace(scene: Scene, clockwork: Clockwork) -> None:
    """While nobody leads, too: or a run that is then cancelled before it begins would be the last."""
    run = await begin(clockwork)
    await clockwork.pause(lasting=MINUTE, reason="moving")
    scene.wait(HOUR)
    await clockwork.settle(run, Succeeded())
    one, (_, new) = await clockwork.stored(), await clockwork.runs()
    assert (one.paused, one.paused_until, one.paused_by, one.pause_reason) == (False, None, None, None)
    await scene.cancel(new.id)

    assert await stalled_schedules(scene.database) == [NIGHTLY]


async def test_it_keeps_out_of_its_window(scene: Scene, clockwork: Clockwork) -> None:
    """Neither does a run end into one, nor a pause."""
    clockwork.snapshot = configured(night={"cron": "30 22 * * *", "for": "1h"})
    opens, closes = NOW + 30 * MINUTE, NOW + 90 * MINUTE
    run = await begin(clockwork, not_during="night", pause="1m")
    scene.wait(opens - scene.now - 30 * SECOND)
    await clockwork.settle(run, Succeeded())
    assert await waiting(clockwork) == [(State.QUEUED, closes)]

    await scene.cancel((await clockwork.stored()).last_run_id)
    await clockwork.look_again()
    await clockwork.turn(MINUTE)
    assert await waiting(clockwork) == []
    assert (await clockwork.stored()).next_at == closes
    await clockwork.turn(HOUR)

    assert await waiting(clockwork) == [(State.QUEUED, closes + 30 * SECOND + MINUTE)]


async def test_it_begins_at_its_start_and_ends_at_its_end(scene: Scene, clockwork: Clockwork) -> None:
    start, end = NOW + HOUR, NOW + 2 * HOUR
    await clockwork.create(continuous=True, start=start.isoformat(), end=end.isoformat(), pause="10m")
    await clockwork.turn()
    assert await waiting(clockwork) == []
    await clockwork.turn(HOUR)
    assert await waiting(clockwork) == [(State.QUEUED, start)]
    run = await scene.claim_one()
    scene.wait(50 * MINUTE)
    await clockwork.settle(run, Succeeded())
    await clockwork.turn()

    assert await waiting(clockwork) == []
    assert await clockwork.ticks() == [start]


async def test_one_that_has_ended_costs_nothing_more(scene: Scene, clockwork: Clockwork) -> None:
    run = await begin(clockwork, end=(NOW + HOUR).isoformat())
    scene.wait(2 * HOUR)
    await clockwork.settle(run, Succeeded())
    await clockwork.turn()
    one = await clockwork.stored()
    assert one.next_at is not None

    assert one.next_at - scene.now > timedelta(days=365_000)
    assert await stalled_schedules(scene.database) == []
    await clockwork.replace(continuous=True)
    await clockwork.turn()
    assert len(await waiting(clockwork)) == 1


async def test_a_node_that_does_not_know_a_schedule_of_the_file_leaves_it_to_the_leader(
    scene: Scene, clockwork: Clockwork
) -> None:
    await clockwork.follow(configured(schedules={NIGHTLY: {"continuous": True, "pause": "5s"}}))
    await clockwork.turn()
    run = await scene.claim_one()
    known, clockwork.snapshot = clockwork.snapshot, configured()
    await clockwork.settle(run, PermanentFailure())
    assert await waiting(clockwork) == []
    clockwork.snapshot = known
    await clockwork.turn()

    assert await waiting(clockwork) == [(State.QUEUED, scene.now + 30 * SECOND)]
    assert (await clockwork.stored()).failures == 1


async def test_p9_a_run_ends_whatever_has_become_of_its_schedule(scene: Scene, clockwork: Clockwork) -> None:
    """Or its target would be called again and again."""
    run = await begin(clockwork)
    broken = update(schedules).values(definition=b'{"continuous": {}}')
    await scene.database.transact(lambda connection: connection.execute(broken))
    await clockwork.settle(run, Succeeded())

    assert await scene.states() == [State.SUCCEEDED]
    assert (await clockwork.stored()).next_at == scene.now


@pytest.mark.parametrize("made_by", ["the leader", "the end of a run"])
async def test_a_tick_that_makes_no_run_counts_as_one_that_failed(
    scene: Scene, clockwork: Clockwork, made_by: str
) -> None:
    """Or a template that fails would be an event each second, for ever."""
    await clockwork.follow(configured(schedules={NIGHTLY: {"continuous": True, "pause": "5s"}}))
    run = None
    if made_by == "the end of a run":
        await clockwork.turn()
        run = await scene.claim_one()
    right = clockwork.snapshot
    broken = right.schedules[NIGHTLY].model_copy(update={"payload": Tree("{{ event.no }}")})
    clockwork.snapshot = replace(right, schedules={NIGHTLY: broken})
    if run is not None:
        await clockwork.settle(run, Succeeded())
    before = len(await clockwork.ticks())
    for _ in range(600):
        await clockwork.turn(SECOND)
        assert await stalled_schedules(scene.database) == []

    assert 2 <= len(await clockwork.ticks()) - before <= 6
    assert await waiting(clockwork) == []
    clockwork.snapshot = right
    await clockwork.turn(10 * MINUTE)
    assert len(await waiting(clockwork)) == 1


async def test_x07_its_ticks_do_not_meet_their_own_run(scene: Scene, clockwork: Clockwork) -> None:
    for overlap in ("queue", "skip", "allow", "cancel_running"):
        name = f"always-{overlap.replace('_', '-')}"
        await clockwork.create(name, continuous=True, overlap=overlap)
        await clockwork.turn()
        for _ in range(3):
            await clockwork.settle(await scene.claim_one(), Succeeded())

        assert [row.state for row in await clockwork.runs(name)] == [State.SUCCEEDED] * 3 + [State.QUEUED]
        assert await clockwork.skips(name) == []
        await clockwork.remove(name)
        await scene.succeed(await scene.claim_one())


async def test_two_of_them_end_together(scene: Scene, clockwork: Clockwork) -> None:
    outcomes: dict[str, Outcome] = {"a": Succeeded(), "b": PermanentFailure(), "c": Succeeded()}
    for name in outcomes:
        await clockwork.create(name, continuous=True, pause="1s")
    await clockwork.turn()
    claimed = await scene.claim()
    await all_of(*[clockwork.settle(run, outcomes[run.schedule or ""]) for run in claimed])

    due = {name: (await clockwork.runs(name))[1].due_at - scene.now for name in outcomes}
    assert due == {"a": SECOND, "b": 30 * SECOND, "c": SECOND}
