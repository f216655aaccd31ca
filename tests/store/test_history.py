"""What can be looked at."""

from collections.abc import Sequence
from dataclasses import replace

import orjson
import pytest
from sqlalchemy import select

from gateway.core import strict_json
from gateway.core.event import Cause
from gateway.core.ids import new_id
from gateway.core.plan import Plan
from gateway.core.request import Decision, Verb
from gateway.store.accept import Acceptance
from gateway.store.history import (
    UNFINISHED,
    EventFilter,
    RunFilter,
    events_of,
    find_event,
    find_run,
    list_events,
    list_runs,
    list_targets,
    stored_event,
)
from gateway.store.lanes import LaneLimit
from gateway.store.leases import register, retire
from gateway.store.writer import Work
from tests.store.query_plan import plan_of
from tests.store.scene import HOUR, NOW, SECOND, TARGET, Scene, delivery, event, request


async def test_runs_come_newest_first_and_page_by_page(scene: Scene) -> None:
    ids = [(await scene.ask(None)).run_id for _ in range(7)]
    seen, before = [], None
    for _ in range(4):
        page = await list_runs(scene.database, RunFilter(), 2, before)
        seen.append([row["id"] for row in page.items])
        before = page.next

    assert [run_id for page in seen for run_id in page] == ids[::-1]
    assert [len(page) for page in seen] == [2, 2, 2, 1]
    assert before is None


async def test_a_page_that_just_fits_is_the_last(scene: Scene) -> None:
    for _ in range(2):
        await scene.ask(None)

    assert (await list_runs(scene.database, RunFilter(), 2)).next is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (RunFilter(), 3),
        (RunFilter(state="running"), 1),
        (RunFilter(state="nonsense"), 0),
        (RunFilter(target=TARGET), 3),
        (RunFilter(trigger="t"), 2),
        (RunFilter(schedule="nightly"), 1),
        (RunFilter(key="k"), 1),
        (RunFilter(key="k", state="queued"), 0),
        (RunFilter(since=NOW + SECOND), 1),
        (RunFilter(until=NOW + SECOND), 2),
        (RunFilter(key="'; DROP TABLE runs --"), 0),
    ],
    ids=repr,
)
async def test_filters_of_runs(scene: Scene, wanted: RunFilter, found: int) -> None:
    await scene.ask("k")
    await scene.claim_one()
    await scene.ask(None)
    scene.wait(SECOND)
    await scene.ask(None, trigger=None, schedule="nightly")

    assert len((await list_runs(scene.database, wanted, 50)).items) == found


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (EventFilter(), 3),
        (EventFilter(source="netbox"), 2),
        (EventFilter(type="updated"), 3),
        (EventFilter(decision="enqueued"), 1),
        (EventFilter(decision="filtered"), 1),
        (EventFilter(decision="%"), 0),
        (EventFilter(source="netbox", decision="filtered"), 0),
        (EventFilter(since=NOW + SECOND), 1),
    ],
    ids=repr,
)
async def test_filters_of_events(scene: Scene, wanted: EventFilter, found: int) -> None:
    await scene.accept(request())
    await scene.accept()
    scene.wait(SECOND)
    await scene.accept(Decision(trigger="t", decision=Verb.FILTERED), source="other")

    assert len((await list_events(scene.database, wanted, 50)).items) == found


async def test_what_is_not_there_is_not_found(scene: Scene) -> None:
    assert await find_run(scene.database, new_id()) is None
    assert await find_event(scene.database, new_id()) is None
    assert await stored_event(scene.database, new_id()) is None


async def test_a_run_as_people_see_it(scene: Scene) -> None:
    accepted = await scene.accept(request(payload=b'{"site": "ams"}'))
    run = await scene.claim_one()
    await scene.fail(run, log="line 1\nline 2")
    found = await find_run(scene.database, run.id)

    assert found is not None
    shown = orjson.loads(orjson.dumps(found))
    assert (shown["state"], shown["payload"], shown["event_ids"]) == ("retrying", {"site": "ams"}, [accepted.event_id])
    assert (shown["reason"], shown["waiting_for"]) == ("boom", "its next attempt")
    (attempt,) = shown["attempts"]
    assert (attempt["number"], attempt["outcome"], attempt["log"]) == (1, "failed", "line 1\nline 2")


async def test_the_events_of_a_run_come_oldest_first(scene: Scene) -> None:
    accepted = [await scene.accept(request(), body=str(n).encode()) for n in range(3)]
    run = await scene.claim_one()
    everything = await events_of(scene.database, run.id, latest_only=False)
    latest = await events_of(scene.database, run.id, latest_only=True)

    assert [one["id"] for one in everything] == [one.event_id for one in accepted]
    assert [one["data"] for one in latest] == [2]


async def test_a_stored_event_is_the_one_that_triggers_saw_without_its_delivery_key(scene: Scene) -> None:
    data = {"device": {"id": 7}, "é": [1.5, None]}
    sent = event(
        body=strict_json.dump(data),
        data=data,
        object=data["device"],
        subject="sw-1",
        sender_id="s",
        changed=("status",),
        headers={"x-a": "1"},
        delivery=delivery("s"),
        cause=Cause(run_id=new_id(), trigger="t", origin_event_id=new_id(), depth=3),
        rejection="not JSON",
        replay_of=new_id(),
    )
    await scene.accept_all(Acceptance(sent, Plan(())))

    assert await stored_event(scene.database, sent.id) == replace(sent, delivery=None)


async def test_a_stored_event_brings_the_first_one_of_its_chain(scene: Scene) -> None:
    first = event(body=b'{"sha":"c0ffee"}', data={"sha": "c0ffee"})
    cause = Cause(run_id=new_id(), trigger="t", origin_event_id=first.id, depth=2)
    last = event(cause=cause)
    await scene.accept_all(Acceptance(first, Plan(())), Acceptance(last, Plan((request(),))))
    run = await scene.claim_one()

    assert await stored_event(scene.database, last.id) == replace(last, origin=first)
    (seen,) = await events_of(scene.database, run.id, latest_only=True)
    assert seen["origin"]["data"] == {"sha": "c0ffee"}


async def waiting_for(scene: Scene, run_id: str | None) -> str | None:
    found = await find_run(scene.database, run_id or "")
    assert found is not None
    told: str | None = found["waiting_for"]
    return told


async def test_a_waiting_run_says_what_it_waits_for(scene: Scene) -> None:
    run_id = (await scene.ask()).run_id
    assert await waiting_for(scene, run_id) == "a free slot of the target"
    await scene.claim_one()
    assert await waiting_for(scene, run_id) is None
    behind = (await scene.ask()).run_id
    assert await waiting_for(scene, behind) == f"run {run_id} of the same key to end its attempt"
    later = (await scene.ask(None, due_at=scene.now + HOUR)).run_id
    assert await waiting_for(scene, later) == "its due time"
    unknown = (await scene.ask(None, target="elsewhere")).run_id
    assert await waiting_for(scene, unknown) == "a node that carries out runs of the target elsewhere"
    scene.limits[TARGET] = LaneLimit(1, ordered=False)
    await scene.ask(None, lane="ams")
    second = (await scene.ask(None, lane="ams")).run_id
    assert await waiting_for(scene, second) == "other runs of 'ams'"
    await scene.pause_target(reason="upgrade")
    assert await waiting_for(scene, second) == "the target to be resumed, paused by me: upgrade"


async def test_a_run_whose_target_no_node_serves_any_more_says_so(scene: Scene) -> None:
    """The target is gone from the configuration, or no node has one of its labels; its row in the store remains."""
    run_id = (await scene.ask()).run_id
    await retire(scene.database, scene.node.id)
    await register(scene.database, replace(scene.node, id=new_id(), targets=("another",)), HOUR)
    assert await waiting_for(scene, run_id) == f"a node that carries out runs of the target {TARGET}"


async def test_runs_that_have_ended_are_not_read_to_count_the_others(scene: Scene) -> None:
    """However many are kept."""

    def look(work: Work, _: Sequence[None]) -> Sequence[None]:
        if not scene.is_sqlite:  # which reads tables as small as this one as a whole
            work.connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        work.connection.execute(select(UNFINISHED))
        return [None]

    assert "runs_unfinished_event" in await plan_of(scene.database, look, None, "SELECT")


async def test_targets_with_what_runs_and_waits(scene: Scene) -> None:
    for _ in range(3):
        await scene.ask(None)
    (first, *_) = await scene.claim(slots=2)
    await scene.fail(first)
    (shown,) = await list_targets(scene.database)
    (held,) = await list_targets(scene.database, held={TARGET: "night"})

    assert (shown["name"], shown["state"], shown["running"], shown["waiting"]) == (TARGET, "ready", 1, 2)
    assert held == {**shown, "state": "held"}
