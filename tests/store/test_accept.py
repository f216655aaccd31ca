"""Events with their decisions, and what follows from them."""

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest
from sqlalchemy import func, select

from gateway.core.event import Cause
from gateway.core.ids import new_id
from gateway.core.plan import Plan
from gateway.core.request import Decision, Verb
from gateway.store import bulk
from gateway.store.accept import Acceptance
from gateway.store.history import find_event
from gateway.store.schema import events, runs
from tests.store.scene import SECOND, Scene, all_of, delivery, event, request

FILTERED = Decision(trigger="f", decision=Verb.FILTERED, reason="when: x is false")


async def test_every_event_has_a_record_of_what_was_decided_and_why(scene: Scene) -> None:
    accepted = await scene.accept(request(), FILTERED, request(trigger="other"))
    found = await find_event(scene.database, accepted.event_id)

    assert found is not None
    run_id = accepted.decisions[0].run_id
    assert [(one["trigger"], one["decision"], one["run_id"]) for one in found["decisions"]] == [
        ("t", "enqueued", run_id),
        ("f", "filtered", None),
        ("other", "merged", run_id),
    ]
    assert found["decisions"][1]["reason"] == "when: x is false"
    assert f"held by run {run_id}" in found["decisions"][2]["reason"]
    assert found["run_ids"] == [run_id]


async def test_an_event_comes_back_as_it_was(scene: Scene) -> None:
    cause = Cause(run_id=new_id(), trigger="t", origin_event_id=new_id(), depth=3)
    given: dict[str, Any] = {
        "subject": "sw-1 ♥",
        "sender_id": "s" * 500,
        "object": {"id": 7, "name": "é"},
        "changed": ("status",),
        "headers": {"x-request-id": "1"},
    }
    sent = event(body=b'{"a": 1}', cause=cause, **given)
    await scene.accept_all(Acceptance(sent, Plan(())))
    found = await find_event(scene.database, sent.id)

    assert found is not None
    assert {name: found[name] for name in given} == given | {"changed": ["status"]}
    assert (found["time"], found["received_at"]) == (sent.time, sent.received_at)
    assert orjson.dumps(found["data"]) == b'{"a": 1}'


async def test_a_chain_keeps_its_origin_and_depth(scene: Scene) -> None:
    cause = Cause(run_id=new_id(), trigger="t", origin_event_id=new_id(), depth=3)
    await scene.accept(request(None), cause=cause)
    first = await scene.accept(request(None))
    caused, plain = sorted(await scene.claim(), key=lambda run: -run.depth)

    assert (caused.origin_event_id, caused.depth) == (cause.origin_event_id, 3)
    assert (plain.origin_event_id, plain.depth) == (first.event_id, 0)


async def test_without_once_there_is_a_run_for_each_event(scene: Scene) -> None:
    asked = [await scene.ask(None) for _ in range(3)]

    assert len({one.run_id for one in asked}) == 3
    assert len(await scene.claim()) == 3


async def test_a_run_is_due_when_it_was_asked_for(scene: Scene) -> None:
    later = await scene.ask(None, due_at=scene.now + 5 * SECOND)
    assert await scene.claim() == []
    scene.wait(5 * SECOND)

    assert (await scene.claim_one()).id == later.run_id


def poisoned(**changes: Any) -> Acceptance:
    return Acceptance(event(**changes), Plan((request(None),)))


def poison(of: Scene) -> list[Acceptance]:
    """Requests that no code could have let in, and that the database refuses."""
    bad = [
        poisoned(subject="half a pair: \ud800"),
        poisoned(type="\udfff"),
        poisoned(headers={"x": "\ud800"}),
        Acceptance(event(), Plan((replace(request(None), key="\ud800"),))),
    ]
    # what only PostgreSQL refuses
    return bad if of.is_sqlite else [*bad, poisoned(subject="a\0b"), poisoned(source="x" * 101), poisoned(id="no id")]


async def test_p9_one_bad_request_never_fails_its_batch(scene: Scene) -> None:
    bad = poison(scene)
    waiting = [scene.accept_all(Acceptance(event(), Plan((request(None),)))) for _ in range(40)]
    for n, acceptance in enumerate(bad):
        waiting.insert(7 * n, scene.accept_all(acceptance))
    results = await all_of(*waiting)
    failed = [result for result in results if isinstance(result, Exception)]

    assert len(failed) == len(bad)
    async with scene.database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(events)) == 40
        assert await connection.scalar(select(func.count()).select_from(runs)) == 40
    assert (await scene.ask()).decision is Verb.ENQUEUED


async def test_a_bad_item_spoils_what_its_sender_handed_in_together(scene: Scene) -> None:
    good = Acceptance(event(), Plan(()))
    with pytest.raises(Exception, match=r"surrogates|invalid"):
        await scene.accept_all(good, poisoned(subject="\ud800"))

    assert await scene.rows(events) == []


async def test_keys_are_looked_up_in_as_many_statements_as_they_need(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement takes no more than 32,766 parameters."""
    monkeypatch.setattr(bulk, "CHUNK", 3)
    names = [f"key {n}" for n in range(10)]
    decided = await scene.accept(*map(request, names), delivery=delivery("a"))
    items = [Acceptance(event(delivery=delivery(name)), Plan(())) for name in "abcde"]

    assert {one.decision for one in decided.decisions} == {Verb.ENQUEUED}
    assert {one.decision for one in (await scene.accept(*map(request, names))).decisions} == {Verb.MERGED}
    assert [one.duplicate for one in await scene.accept_all(*items)] == [True] + 4 * [False]


async def test_one_event_may_request_any_number_of_targets(scene: Scene) -> None:
    """More than PostgreSQL announces at once."""
    targets = [f"{'a-target-with-a-long-name-':a<90}{number:03}" for number in range(200)]
    decided = await scene.accept(*(request(target=target) for target in targets))
    assert [one.decision for one in decided.decisions] == 200 * [Verb.ENQUEUED]


async def test_d01_concurrent_requests_for_many_keys_lose_nothing(scene: Scene) -> None:
    accepted = await asyncio.gather(*(scene.accept(request(str(n % 7))) for n in range(300)))

    rows = await scene.rows(runs)
    assert sorted(row.key for row in rows) == [str(n) for n in range(7)]
    assert sum(row.events for row in rows) == len({one.event_id for one in accepted}) == 300
    linked = [event_id for row in rows for event_id in await scene.event_ids(row.id)]
    assert sorted(linked) == sorted(one.event_id for one in accepted)
