"""Alerts on the runs of a real store: one message when it begins, and one when it is over."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
from sqlalchemy import event

from gateway.core.outcome import PermanentFailure, RetryableFailure, Succeeded
from gateway.core.retry import Retry
from gateway.core.run import State
from gateway.runtime.chain import announcement
from gateway.runtime.snapshot import Snapshot
from gateway.store.lanes import lock_targets
from gateway.store.schema import alarms, events, runs
from gateway.store.settle import Attempted, Ended, settle_attempts
from gateway.store.writer import Work
from tests.store.clockwork import EMPTY, configured
from tests.store.scene import HOUR, SECOND, TARGET, Scene, opened, request
from tests.store.watched import CHAT, Watched, alerted


async def serve(scene: Scene, *names: str) -> None:
    """Makes targets known, so that their runs are carried out."""
    await scene.database.transact(partial(lock_targets, names=names))


async def test_failing_is_told_once_and_recovered_once(scene: Scene) -> None:
    watched = Watched(scene, alerted())
    for _ in range(5):
        await watched.fails()
    for _ in range(3):
        await watched.succeeds()

    assert await watched.what() == [("failing", "t", None), ("recovered", "t", None)]
    assert await scene.rows(alarms) == []


async def test_what_a_message_says(scene: Scene) -> None:
    snapshot = alerted(ops={"after": 2})
    server = snapshot.server.model_copy(update={"public_url": "https://gateway.example/"})
    watched = Watched(scene, replace(snapshot, server=server))
    await watched.succeeds("ams")
    await watched.fails("ams")
    run = await watched.run("ams")
    await watched.ends(run, RetryableFailure(reason="half a \ud800 character"), log="x" * 9000 + "the end")
    [told] = await watched.told()

    assert told.pop("log_tail").endswith("the end")
    assert told.pop("reason").startswith("half a ? character")
    assert told == {
        "what": "failing",
        "name": "t",
        "key": "ams",
        "consecutive_failures": 2,
        "failing_since": "2027-01-15T22:00:01+00:00",
        "last_success": "2027-01-15T22:00:00+00:00",
        "run_url": f"https://gateway.example/api/v1/runs/{run.id}",
    }


async def test_p7_the_event_says_why_an_alert_was_told(scene: Scene) -> None:
    watched = Watched(scene, alerted())
    await watched.fails()
    [message] = await scene.rows(runs, runs.c.target == CHAT)
    [happened] = await scene.rows(events, events.c.source == "gateway")
    [decision] = orjson.loads(happened.decisions)

    assert (message.trigger, message.event_id, message.depth) == ("alerts.ops", happened.id, 1)
    assert (decision["trigger"], decision["decision"], decision["run_id"]) == ("alerts.ops", "enqueued", message.id)
    assert decision["reason"] == "failing: 1 times since 2027-01-15T22:00:00Z"


async def test_each_key_is_told_by_itself(scene: Scene) -> None:
    watched = Watched(scene, alerted())
    await watched.fails("ams")
    await watched.fails("fra")
    await watched.fails("ams")
    await watched.succeeds("ams")

    assert await watched.what() == [("failing", "t", "ams"), ("failing", "t", "fra"), ("recovered", "t", "ams")]


async def test_a_trigger_a_schedule_and_a_target_of_one_name_are_three(scene: Scene) -> None:
    watched = Watched(scene, alerted())
    await watched.fails(trigger=TARGET)
    await watched.fails(trigger=None, schedule=TARGET)
    await watched.fails(trigger=None)
    await watched.succeeds(trigger=None, schedule=TARGET)

    assert [what for what, *_ in await watched.what()] == ["failing", "failing", "failing", "recovered"]


async def test_runs_that_are_not_over_or_were_cancelled_count_neither_way(scene: Scene) -> None:
    watched = Watched(scene, alerted())
    await watched.fails()
    run = await watched.run("again")
    await watched.ends(run, RetryableFailure(reason="boom"), retry=Retry(attempts=2))
    await scene.cancel(run.id)

    assert [(row.key, row.times) for row in await scene.rows(alarms)] == [("", 1)]
    assert len(await watched.told()) == 1


async def test_it_is_told_again_after_a_while(scene: Scene) -> None:
    watched = Watched(scene, alerted(ops={"repeat": "1h"}))
    await watched.fails()
    await watched.fails()
    scene.wait(HOUR)
    await watched.fails()
    await watched.fails()

    assert [one["consecutive_failures"] for one in await watched.told()] == [1, 3]


async def test_alerts_know_what_they_have_told_each_for_itself(scene: Scene) -> None:
    watched = Watched(scene, alerted(soon={}, late={"after": 3}, others={"targets": ["other"]}))
    await watched.fails()
    await watched.fails()
    await watched.succeeds()

    triggers = [row.trigger for row in await scene.rows(runs, runs.c.target == CHAT)]
    assert triggers == ["alerts.soon", "alerts.soon"]


async def test_x02_an_outage_is_told_once_for_all_keys(scene: Scene) -> None:
    """While the breaker is open it is not the keys that are wrong. Thirty events, each with a key of its own."""
    watched = Watched(scene, alerted(ops={"on": ["failing", "recovered"]}))
    for number in range(30):
        scene.later(request(f"site-{number}"))
    await scene.accept_later()
    gone = RetryableFailure(reason="connection refused", reached=False)
    for _ in range(40):
        run = await scene.claim_one(limit=1)
        await watched.ends(run, gone, retry=Retry(attempts=2, delays=(SECOND,)))
        scene.wait(600 * SECOND)
    assert (await scene.states()).count(State.FAILED) == 10
    while claimed := await scene.claim():
        await asyncio.gather(*(watched.ends(run, Succeeded()) for run in claimed))

    assert [what for what, *_ in await watched.what()] == ["failing", "recovered"]


async def test_x02_what_cannot_be_reached_is_failing_although_its_runs_are_still_tried(scene: Scene) -> None:
    """With hundreds of them waiting none would ever come to its end; a short blip is nothing, though."""
    watched = Watched(scene, alerted(ops={"on": ["failing", "recovered"], "after": 2}))
    for number in range(30):
        scene.later(request(f"site-{number}"))
    await scene.accept_later()
    gone = RetryableFailure(reason="connection refused", reached=False)
    told = []
    for _ in range(10):
        await watched.ends(await scene.claim_one(limit=1), gone, retry=Retry())
        told.append(len(await watched.told()))
        scene.wait(600 * SECOND)
    await watched.ends(await scene.claim_one(), Succeeded())

    assert told == [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]
    assert [what for what, *_ in await watched.what()] == ["failing", "recovered"]
    assert State.FAILED not in await scene.states()


async def test_an_alert_is_not_told_about_its_own_target(scene: Scene) -> None:
    await serve(scene, CHAT)
    watched = Watched(scene, alerted())
    await watched.fails()
    message = await scene.claim_one(CHAT)
    await watched.ends(message, RetryableFailure(reason="the chat is away"))
    await watched.fails(target=CHAT)

    assert len(await watched.told()) == 2
    assert [row.name for row in await scene.rows(alarms)] == ["t"]


async def test_alerts_that_tell_of_each_other_come_to_an_end(scene: Scene) -> None:
    """Both targets are away: each alert is told of the other once, and that is all."""
    await serve(scene, CHAT, "mail")
    watched = Watched(scene, alerted(ops={"after": 1}, mail={"target": "mail"}))
    await watched.fails()
    for _ in range(20):
        for target in (CHAT, "mail"):
            for message in await scene.claim(target):
                await watched.ends(message, RetryableFailure(reason="away"))

    rows = await scene.rows(runs, runs.c.state == State.FAILED, runs.c.target != TARGET)
    assert sorted(row.trigger for row in rows) == ["alerts.mail", "alerts.mail", "alerts.ops", "alerts.ops"]


async def test_nodes_that_settle_at_once_tell_it_once(postgres_scene: Scene, kept_postgres_url: str) -> None:
    scene = postgres_scene
    watched = Watched(scene, alerted())
    for _ in range(30):
        await scene.ask(None)
    claimed = await scene.claim()
    async with opened(kept_postgres_url) as other:
        nodes = [scene, other]
        await asyncio.gather(
            *(
                nodes[number % 2].settle(run, RetryableFailure(reason="boom"), **watched.changes)
                for number, run in enumerate(claimed)
            )
        )

    assert len(await watched.told()) == 1
    assert [row.times for row in await scene.rows(alarms)] == [30]


async def test_triggers_and_alerts_listen_to_the_same_event(scene: Scene) -> None:
    chained = {"on": {"run": "t", "state": "failed"}, "target": "repair", "payload": {"why": "{{ event.data.reason }}"}}
    snapshot = replace(alerted(), triggers=configured(triggers={"repair": chained}).triggers)
    watched = Watched(scene, snapshot)
    await watched.fails()
    [happened] = await scene.rows(events, events.c.source == "gateway")

    assert [one["trigger"] for one in orjson.loads(happened.decisions)] == ["repair", "alerts.ops"]
    assert sorted(row.target for row in await scene.rows(runs)) == [CHAT, "repair", TARGET]


async def test_a_settlement_says_which_targets_have_something_to_do_now(scene: Scene) -> None:
    chained = configured(triggers={"repair": {"on": {"run": "t"}, "target": "repair"}}).triggers
    announcer = announcement(replace(alerted(), triggers=chained))
    await scene.ask(None)

    ended = await scene.end(await scene.claim_one(), PermanentFailure(), announcer=announcer)

    assert ended.requested == {CHAT, "repair"}


async def statements_about_alarms(scene: Scene, snapshot: Snapshot) -> list[str]:
    """Of the settlement of a success."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.extend([statement.split(maxsplit=1)[0]] if "alarms" in statement else [])

    def listened_to(work: Work, attempted: Sequence[Attempted]) -> list[Ended | None]:
        event.listen(work.connection, "before_cursor_execute", note)
        ended = settle_attempts(work, attempted)
        event.remove(work.connection, "before_cursor_execute", note)
        return ended

    await scene.ask(None)
    run = await scene.claim_one()
    announcer = announcement(snapshot)
    attempted = Attempted(run=run, outcome=Succeeded(), node="a", finished_at=scene.now, announcer=announcer)
    assert await scene.database.commit(listened_to, attempted)
    return seen


async def test_a_success_writes_nothing_and_looks_only_where_there_are_alerts(scene: Scene) -> None:
    assert await statements_about_alarms(scene, EMPTY) == []
    assert await statements_about_alarms(scene, alerted()) == ["SELECT"]
