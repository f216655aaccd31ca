"""The report of what happened, held against a ledger of what was done."""

import random
from collections import Counter
from dataclasses import asdict
from datetime import timedelta

import pytest

from gateway.core.outcome import PermanentFailure, RetryableFailure, Succeeded
from gateway.core.request import Decision, Verb
from gateway.core.run import State
from gateway.store.lapse import Lapsing, lapse
from gateway.store.schema import counts, runs
from gateway.store.stats import read_activity, read_stats
from tests.store.scene import HOUR, MINUTE, Scene, delivery, request


@pytest.mark.parametrize("seed", range(3))
async def test_it_says_what_a_ledger_says(scene: Scene, seed: int) -> None:
    rand = random.Random(seed)
    ledger = Counter[str]()
    for number in range(60):
        scene.wait(timedelta(seconds=30))
        decided = Decision(trigger="other", decision=rand.choice([Verb.FILTERED, Verb.ERROR, Verb.SHADOW]))
        asked = request(rand.choice(["a", "b", None]))
        accepted = await scene.accept(asked, decided, delivery=delivery(f"d{rand.randrange(40)}"), source="hook")
        ledger["redelivered" if accepted.duplicate else "events"] += 1
        ledger["duplicates"] += accepted.duplicate
        for decision in accepted.decisions:
            ledger[decision.decision] += 1
        if number % 3 == 0:
            for run in await scene.claim():
                outcomes = [Succeeded(), PermanentFailure(reason="no"), RetryableFailure(reason="later")]
                ended = await scene.end(run, rand.choice(outcomes))
                ledger[ended.state] += 1
    for row in await scene.rows(runs, runs.c.state == State.QUEUED):
        await scene.cancel(row.id)
        ledger["cancelled"] += 1
    stats = await read_stats(scene.database, scene.now - HOUR)

    names = {"runs": "enqueued", "errors": "error"}
    told = asdict(stats.totals)
    superseded = sum(state == State.SUPERSEDED for state in await scene.states())
    expected = {name: ledger[names.get(name, name)] for name in told} | {"superseded": superseded}
    assert told == expected
    assert stats.events_per_run == round(ledger["events"] / ledger["enqueued"], 2)


async def test_by_source_trigger_and_target(scene: Scene) -> None:
    await scene.accept(request(), Decision(trigger="u", decision=Verb.FILTERED), source="hook")
    await scene.accept(request(), source="queue")
    await scene.succeed(await scene.claim_one())
    stats = await read_stats(scene.database, scene.now)

    assert {one.name: (one.events, one.runs, one.merged) for one in stats.sources} == {
        "hook": (1, 1, 0),
        "queue": (1, 0, 1),
    }
    assert {one.name: (one.runs, one.merged, one.filtered, one.succeeded) for one in stats.triggers} == {
        "t": (1, 1, 0, 1),
        "u": (0, 0, 1, 0),
    }
    assert {one.name: (one.runs, one.merged, one.succeeded) for one in stats.targets} == {"sync": (1, 1, 1)}
    assert stats.events_per_run == 2


async def test_what_lapsed_was_skipped_and_what_supersedes_ended_the_other(scene: Scene) -> None:
    await scene.ask("late", expires_at=scene.now + MINUTE)
    await scene.ask("k")
    await scene.fail(next(run for run in await scene.claim(slots=2) if run.key == "k"))
    await scene.ask("k")
    scene.wait(2 * MINUTE)
    await scene.ask("late again", expires_at=scene.now - MINUTE)
    await scene.database.commit(lapse, Lapsing())
    stats = await read_stats(scene.database, scene.now - HOUR)

    assert (stats.totals.skipped, stats.totals.superseded, stats.totals.cancelled) == (1, 1, 0)


async def test_a_retry_by_hand_is_a_run(scene: Scene) -> None:
    await scene.ask(None)
    run = await scene.claim_one()
    await scene.give_up(run)
    await scene.repeat(run.id)
    stats = await read_stats(scene.database, scene.now)

    assert (stats.totals.events, stats.totals.runs, stats.totals.failed) == (1, 2, 1)


async def test_what_is_too_long_ago_is_left_out(scene: Scene) -> None:
    await scene.ask(None)
    scene.wait(HOUR)
    await scene.ask(None)

    assert (await read_stats(scene.database, scene.now)).totals.events == 1
    assert (await read_stats(scene.database, scene.now - HOUR)).totals.events == 2
    assert (await read_stats(scene.database, scene.now)).since == scene.now


async def test_nothing_is_no_ratio(scene: Scene) -> None:
    stats = await read_stats(scene.database, scene.now)

    assert stats.events_per_run is None
    assert stats.sources == stats.triggers == stats.targets == ()


async def test_many_at_once_take_a_row_for_each_thing(scene: Scene) -> None:
    for _ in range(100):
        scene.later(request("k"))
    await scene.accept_later()
    rows = await scene.rows(counts)

    assert {(row.what, row.number) for row in rows} == {("event", 100), ("enqueued", 1), ("merged", 99)}


async def test_the_last_event_is_the_newest_and_null_once_pruned(scene: Scene) -> None:
    await scene.accept(request(), source="hook")
    newest = await scene.accept(Decision(trigger="t", decision=Verb.FILTERED), source="hook")
    scene.wait(3 * HOUR)
    before = await read_activity(scene.database, "trigger", ["t", "unknown"], scene.now - HOUR)
    await scene.database.transact(lambda connection: connection.exec_driver_sql("DELETE FROM events"))
    after = await read_activity(scene.database, "trigger", ["t"], scene.now - HOUR)

    assert before["t"].last_event is not None
    assert before["t"].last_event.id == newest.event_id
    assert before["t"].figures.events == 0
    assert "unknown" not in before
    assert after["t"].last_event is None
