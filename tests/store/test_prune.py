"""What is too old goes, and nothing that is still needed."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

from sqlalchemy import Connection, Table, insert

from gateway.store.prune import BATCH, Cutoff, Sweep, prune
from gateway.store.schema import alarms, attempts, counts, events, keys, run_events, runs, skips
from tests.store.scene import HOUR, SECOND, Scene, delivery, request

DAY = timedelta(days=1)


async def pruned(scene: Scene, events_after: timedelta = DAY, runs_after: timedelta = DAY) -> int:
    """How many runs and events went."""
    cutoff = Cutoff(events_before=scene.now - events_after, runs_before=scene.now - runs_after, audit_before=scene.now)
    before = await counted(scene)
    sweep: Sweep | None = Sweep(cutoff=cutoff)
    while sweep:
        sweep = await scene.database.commit(prune, sweep)
    return before - await counted(scene)


async def counted(scene: Scene) -> int:
    return len(await scene.rows(runs)) + len(await scene.rows(events))


async def test_old_runs_go_with_all_that_is_theirs(scene: Scene) -> None:
    await scene.accept(request())
    await scene.accept(request())
    run = await scene.claim_one()
    await scene.give_up(run)
    scene.wait(DAY)
    assert await pruned(scene) == 0
    scene.wait(SECOND)
    assert await pruned(scene) == 3  # one run, and the two events that it merged

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


async def test_a_hold_goes_with_its_run_unless_another_run_has_it_by_now(scene: Scene) -> None:
    for key in ("over", "again"):
        await scene.ask(key, HOUR)
        await scene.succeed(await scene.claim_one())
    scene.wait(2 * DAY)
    await scene.ask("again", HOUR)
    await pruned(scene)

    assert [row.key for row in await scene.rows(keys)] == ["again"]


async def test_a_key_whose_run_is_gone_is_free(scene: Scene) -> None:
    await scene.ask("k", 30 * DAY)
    await scene.succeed(await scene.claim_one())
    scene.wait(2 * DAY)
    assert await pruned(scene) == 2
    decision = await scene.ask("k", 30 * DAY)

    assert (await scene.claim_one()).id == decision.run_id


async def test_a_batch_at_a_time_and_nothing_that_stays_is_looked_at_twice(scene: Scene) -> None:
    """What must stay, however much it is, keeps no sweep from what is behind it."""
    for _ in range(2 * BATCH):
        scene.later(request(None))
    await scene.accept_later()
    for _ in range(BATCH + 1):
        scene.later()
    await scene.accept_later()
    scene.wait(2 * DAY)

    assert await transactions(scene) == 4
    assert len(await scene.rows(events)) == len(await scene.rows(runs)) == 2 * BATCH


async def transactions(scene: Scene) -> int:
    """How many a sweep takes."""
    young = scene.now - DAY
    sweep: Sweep | None = Sweep(cutoff=Cutoff(events_before=young, runs_before=young, audit_before=young))
    for number in count():
        if sweep is None:
            return number
        sweep = await scene.database.commit(prune, sweep)
    raise AssertionError


async def test_old_records_of_other_kinds_go(scene: Scene) -> None:
    old, young = scene.now - 2 * DAY, scene.now
    skip = {"count": 1, "reason": "late", "schedule": "s"}
    alarm = {"name": "t", "kind": "trigger", "what": "failing", "since": old, "times": 1, "raised": True, "told": b"{}"}
    counted = {"source": "", "trigger": "", "target": "", "what": "event", "writer": 0, "number": 1}
    stored: Mapping[Table, list[dict[str, Any]]] = {
        skips: [{**skip, "from": at, "to": at} for at in (old, young)],
        alarms: [{**alarm, "key": key, "latest": at} for key, at in (("gone", old), ("here", young))],
        counts: [{**counted, "period": at} for at in (old, young)],
    }
    for table, rows in stored.items():
        await scene.database.transact(partial(insert_all, table, rows))
    await pruned(scene)

    assert [row.to for row in await scene.rows(skips)] == [young]
    assert [row.key for row in await scene.rows(alarms)] == ["here"]
    assert [row.period for row in await scene.rows(counts)] == [young]


def insert_all(table: Table, rows: list[dict[str, Any]], connection: Connection) -> None:
    connection.execute(insert(table), rows)
