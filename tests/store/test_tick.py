"""A tick is made once, by whoever leads, and everything that follows from it is made with it."""

from dataclasses import replace
from typing import Any, Self

import pytest
from sqlalchemy import event as sqlalchemy_event

from gateway.core.outcome import RetryableFailure
from gateway.core.request import Verb
from gateway.core.run import State
from gateway.core.template import Tree
from gateway.runtime import ticks as runtime_ticks
from gateway.runtime.ticks import define
from gateway.store.leadership import NotLeading
from gateway.store.schedules import due_schedules
from gateway.store.scheduling import LookAgain, Writing, look_again, write_schedules
from gateway.store.schema import runs, skips
from tests.faults.mutations import module_with
from tests.store import clockwork as clockwork_module
from tests.store.clockwork import NIGHTLY, Clockwork, configured, payload, schedule
from tests.store.scene import HOUR, MINUTE, NOW, SECOND, TARGET, Scene, all_of


def break_template(clockwork: Clockwork) -> None:
    """From here on, the payload of the file's schedule cannot be rendered."""
    broken = clockwork.snapshot.schedules[NIGHTLY].model_copy(update={"payload": Tree("{{ event.no }}")})
    clockwork.snapshot = replace(clockwork.snapshot, schedules={NIGHTLY: broken})


async def test_a_tick_makes_event_decision_run_and_cursor(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create(payload={"full": True}, expires="3h", fresh_for="2h")
    await clockwork.turn()
    assert (await clockwork.stored()).next_at == NOW + MINUTE
    await clockwork.turn(MINUTE + 2 * SECOND)

    (row,) = await clockwork.runs()
    assert (row.state, row.target, row.key, row.trigger) == (State.QUEUED, TARGET, NIGHTLY, None)
    assert (row.scheduled_for, row.due_at, row.missed, payload(row)) == (NOW + MINUTE, NOW + MINUTE, 0, {"full": True})
    assert (row.expires_at, row.fresh_for) == (NOW + MINUTE + 3 * HOUR, 2 * HOUR)
    ((decision,),) = await clockwork.decisions()
    assert (decision.decision, decision.run_id) == (Verb.ENQUEUED, row.id)
    one = await clockwork.stored()
    assert (one.cursor, one.next_at, one.ticks) == (scene.now, NOW + 2 * MINUTE, 1)
    assert (one.last_tick_at, one.last_run_id) == (NOW + MINUTE, row.id)


async def test_p6_the_same_look_makes_its_ticks_once(scene: Scene, clockwork: Clockwork) -> None:
    """Whether it is committed again, or twice together."""
    await clockwork.create(overlap="allow")
    scene.wait(MINUTE)
    ticking = await clockwork.look()
    together = await all_of(*[clockwork.commit(ticking) for _ in range(3)])
    before = await clockwork.everything()

    assert sum(len(one.accepted) for one in together if one) >= 1
    assert await clockwork.commit(ticking) is None
    assert await clockwork.everything() == before
    assert (len(await clockwork.runs()), len(await clockwork.ticks())) == (1, 1)


async def fires_once(scene: Scene, clockwork: Clockwork) -> None:
    """The clock is set back by an hour, and the cursor goes on from there."""
    await clockwork.create(overlap="allow")
    for _ in range(3):
        await clockwork.turn(MINUTE)
    assert await clockwork.ticks() == [NOW + MINUTE, NOW + 2 * MINUTE, NOW + 3 * MINUTE]
    scene.wait(-HOUR)
    await clockwork.look_again()
    await clockwork.turn()
    for _ in range(63):
        await clockwork.turn(MINUTE)

    assert await clockwork.ticks() == [NOW - 56 * MINUTE + n * MINUTE for n in range(63)]
    assert len(await clockwork.runs()) == 63
    one = await clockwork.stored()
    assert (one.cursor, one.ticks) == (scene.now, 63)


async def test_t04_a_tick_that_is_stored_is_not_made_again(scene: Scene, clockwork: Clockwork) -> None:
    await fires_once(scene, clockwork)


async def test_c08_ticks_without_a_key_of_their_own_come_to_light(
    scene: Scene, clockwork: Clockwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_ticks, "tick_event", module_with("ticks-have-no-key").tick_event)
    with pytest.raises(AssertionError):
        await fires_once(scene, clockwork)


async def refuses_a_former_leader(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create()
    scene.wait(MINUTE)
    ticking = await clockwork.look()
    await clockwork.lead()
    before = await clockwork.everything()
    with pytest.raises(NotLeading):
        await clockwork.commit(ticking)

    assert await clockwork.everything() == before


async def test_l02_a_former_leader_makes_no_ticks(scene: Scene, clockwork: Clockwork) -> None:
    await refuses_a_former_leader(scene, clockwork)


async def test_c08_ticks_that_ask_for_no_epoch_come_to_light(
    scene: Scene, clockwork: Clockwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clockwork_module, "tick", module_with("ticks-without-epoch").tick)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        await refuses_a_former_leader(scene, clockwork)


async def test_l02_a_former_leader_has_nothing_looked_at_again(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create()
    await clockwork.turn()
    former, before = clockwork.leading, await clockwork.everything()
    await clockwork.lead()
    with pytest.raises(NotLeading):
        await scene.database.commit(look_again, LookAgain(leading=former, name=NIGHTLY))

    assert await clockwork.everything() == before


CHANGES = ["replace", "pause", "remove", "pause and resume", "remove and create"]


@pytest.mark.parametrize("changed", CHANGES)
async def test_what_was_looked_at_before_a_change_is_void(scene: Scene, clockwork: Clockwork, changed: str) -> None:
    await clockwork.create()
    scene.wait(MINUTE)
    ticking = await clockwork.look()
    for change in changed.split(" and "):
        await getattr(clockwork, change)()

    assert await clockwork.commit(ticking) is None
    assert await clockwork.ticks() == []


@pytest.mark.parametrize("gone", ["remove", "from the file"])
async def test_one_that_has_gone_makes_no_ticks(scene: Scene, clockwork: Clockwork, gone: str) -> None:
    if gone == "remove":
        await clockwork.create()
    else:
        await clockwork.follow(configured(schedules={NIGHTLY: {}}))
    scene.wait(MINUTE)
    ticking = await clockwork.look()
    await (clockwork.remove() if gone == "remove" else clockwork.follow(configured()))

    assert await clockwork.commit(ticking) is None
    assert await clockwork.ticks() == []
    assert await due_schedules(scene.database, scene.now + HOUR, 10) == []


async def test_missed_ones_are_told_and_skipped_ones_recorded(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create(misfire={"grace": "10m"})
    await clockwork.turn(30 * MINUTE)

    (row,) = await clockwork.runs()
    assert (row.scheduled_for, row.missed) == (NOW + 30 * MINUTE, 10)
    assert await clockwork.skips() == [(NOW + MINUTE, NOW + 19 * MINUTE, 19, "older than misfire.grace (10m)")]


async def test_what_is_made_up_for_runs_in_order_and_unmerged(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create(misfire={"policy": "all", "max": 3})
    await clockwork.turn(5 * MINUTE)
    claimed = await scene.claim()

    due = [NOW + 3 * MINUTE, NOW + 4 * MINUTE, NOW + 5 * MINUTE]
    assert [row.scheduled_for for row in await clockwork.runs()] == due
    assert [run.due_at for run in claimed] == due
    assert await clockwork.skips() == [(NOW + MINUTE, NOW + 2 * MINUTE, 2, "more than misfire.max (3)")]


async def test_x07_queue_lets_one_wait(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create(overlap="queue")
    await clockwork.turn(MINUTE)
    first = await scene.claim_one()
    for _ in range(3):
        await clockwork.turn(MINUTE)

    assert await clockwork.verbs() == [[Verb.ENQUEUED], [Verb.ENQUEUED], [Verb.MERGED], [Verb.MERGED]]
    running, waiting = await clockwork.runs()
    assert (running.id, waiting.behind, waiting.events) == (first.id, first.id, 3)
    assert await clockwork.skips() == []


async def test_a_run_stands_for_what_was_missed_by_all_that_it_merges_and_takes_over(
    scene: Scene, clockwork: Clockwork
) -> None:
    await clockwork.create()
    for _ in range(2):
        await clockwork.turn(3 * MINUTE)  # three are due, the newest is made
    first = await scene.claim_one()
    assert [(run.events, run.missed) for run in await clockwork.runs()] == [(2, 4)]
    await scene.fail(first)
    await clockwork.turn(2 * MINUTE)

    older, newer = await clockwork.runs()
    assert (older.superseded_by, newer.events, newer.missed) == (newer.id, 3, 5)


async def test_x07_allow_lets_all_run(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create(overlap="allow")
    for _ in range(3):
        await clockwork.turn(MINUTE)

    assert len(await scene.claim()) == 3


async def test_x07_skip_keeps_one_record_for_each_run_in_the_way(scene: Scene, clockwork: Clockwork) -> None:
    """It grows, and is all that there is of these ticks: no events."""
    await clockwork.create(overlap="skip")
    for _ in range(4):
        await clockwork.turn(MINUTE)
    first = await scene.claim_one()
    await clockwork.turn(MINUTE)
    await scene.fail(first)
    await clockwork.turn(MINUTE)
    again = await scene.claim_one()
    await scene.succeed(again)
    for _ in range(3):
        await clockwork.turn(MINUTE)
    second = await scene.claim_one()

    assert await clockwork.ticks() == [NOW + MINUTE, NOW + 7 * MINUTE]
    assert [row.id for row in await clockwork.runs()] == [first.id, second.id]
    assert await clockwork.skips() == [
        (NOW + 2 * MINUTE, NOW + 6 * MINUTE, 5, f"run {first.id} is not over"),
        (NOW + 8 * MINUTE, NOW + 9 * MINUTE, 2, f"run {second.id} is not over"),
    ]
    one = await clockwork.stored()
    assert (one.cursor, one.ticks, one.last_tick_at) == (scene.now, 2, NOW + 7 * MINUTE)


@pytest.mark.parametrize("ended", ["given up", "cancelled"])
async def test_x07_skip_goes_on_after_a_run_that_came_to_nothing(
    scene: Scene, clockwork: Clockwork, ended: str
) -> None:
    await clockwork.create(overlap="skip")
    await clockwork.turn(MINUTE)
    if ended == "cancelled":
        await scene.cancel((await clockwork.runs())[0].id)
    else:
        await scene.give_up(await scene.claim_one())
    await clockwork.turn(MINUTE)

    assert len(await clockwork.runs()) == 2
    assert await clockwork.skips() == []


async def test_x07_what_others_listen_to_is_an_event_even_if_it_is_skipped(scene: Scene, clockwork: Clockwork) -> None:
    clockwork.snapshot = configured(triggers={"each": {"on": NIGHTLY, "target": "report"}})
    await clockwork.create(overlap="skip")
    await clockwork.turn(MINUTE)
    await scene.claim()
    await clockwork.turn(MINUTE)

    assert await clockwork.verbs() == [[Verb.ENQUEUED, Verb.ENQUEUED], [Verb.DUPLICATE, Verb.ENQUEUED]]
    assert [decision.trigger for decision in (await clockwork.decisions())[1]] == [None, "each"]
    assert await clockwork.skips() == []


async def test_x07_cancel_running_ends_what_runs_and_goes_behind_it(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create(overlap="cancel_running")
    await clockwork.turn(MINUTE)
    run = await scene.claim_one()
    await clockwork.turn(MINUTE)
    await clockwork.turn(MINUTE)

    old, new = await clockwork.runs()
    assert (old.state, old.cancelling, old.reason) == (State.RUNNING, True, f"{NIGHTLY} is due again")
    assert (new.behind, new.scheduled_for, new.events) == (run.id, NOW + 2 * MINUTE, 2)
    await scene.end(run, RetryableFailure(reason="broken off"))
    assert await scene.states() == [State.CANCELLED, State.QUEUED]
    assert (await scene.claim_one()).id == new.id


async def test_x07_cancel_running_leaves_alone_what_is_not_its_own(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create(overlap="cancel_running")
    await scene.ask("other")
    await scene.ask(None)
    await scene.claim()
    await clockwork.turn(MINUTE)

    assert not any(row.cancelling for row in await scene.rows(runs))


@pytest.mark.parametrize("triggers", [{}, {"each": {"on": NIGHTLY, "target": "report"}}])
async def test_x07_a_tick_that_requests_nothing_cancels_nothing(
    scene: Scene, clockwork: Clockwork, triggers: dict[str, Any]
) -> None:
    """As by a template that fails: better the run that there is than none, whatever triggers request besides."""
    await clockwork.follow(configured(schedules={NIGHTLY: {"overlap": "cancel_running"}}, triggers=triggers))
    await clockwork.turn(MINUTE)
    await scene.claim_one()
    break_template(clockwork)
    await clockwork.turn(MINUTE)

    assert [first for first, *_ in await clockwork.verbs()] == [Verb.ENQUEUED, Verb.ERROR]
    (run,) = await clockwork.runs()
    assert not run.cancelling


async def test_a_pause_is_over_with_the_first_tick(scene: Scene, clockwork: Clockwork) -> None:
    """And nothing of it is made up for."""
    await clockwork.create()
    await clockwork.pause(lasting=10 * MINUTE + 30 * SECOND, reason="moving")
    await clockwork.turn(10 * MINUTE)
    assert (await clockwork.stored()).paused
    await clockwork.turn(50 * SECOND)
    await clockwork.turn(10 * SECOND)

    one = await clockwork.stored()
    assert (one.paused, one.paused_until, one.paused_by, one.pause_reason) == (False, None, None, None)
    assert await clockwork.ticks() == [NOW + 11 * MINUTE]
    assert [row.missed for row in await clockwork.runs()] == [0]
    assert await clockwork.skips() == []


async def test_a_tick_that_cannot_be_rendered_is_stored_with_the_reason(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.follow(configured(schedules={NIGHTLY: {}}))
    break_template(clockwork)
    await clockwork.turn(MINUTE)
    await clockwork.turn(MINUTE)

    assert await clockwork.verbs() == [[Verb.ERROR], [Verb.ERROR]]
    assert await clockwork.runs() == []


async def test_t08_a_thousand_schedules_are_made_by_few_statements(scene: Scene, clockwork: Clockwork) -> None:
    """However many are due at :00, with skips and runs in the way among them."""
    names = [f"s{number:04}" for number in range(1000)]
    kinds: list[dict[str, Any]] = [{}, {"overlap": "skip"}, {"misfire": {"policy": "skip"}}, {"overlap": "allow"}]
    definitions = [define(name, schedule(**kinds[number % 4])) for number, name in enumerate(names)]
    await all_of(
        *[
            scene.database.commit(write_schedules, Writing(definition=one, by="me", is_new=True))
            for one in definitions
        ]
    )  # fmt: skip
    scene.wait(10 * MINUTE)
    tickings = [await clockwork.look(name) for name in names]
    with Statements(scene) as statements:
        ticked = await all_of(*[clockwork.commit(ticking) for ticking in tickings])

    assert [one.accepted != [] for one in ticked] == [True, True, True, True] * 250
    assert len(await scene.rows(runs)) == 1000
    assert len(await scene.rows(skips)) == 250
    assert statements.count <= 60
    assert {one.cursor for one in await due_schedules(scene.database, scene.now + MINUTE, 2000)} == {scene.now}


class Statements:
    """Counts what is sent to a database."""

    def __init__(self, scene: Scene) -> None:
        engine = scene.database._transactor._engine  # type: ignore[attr-defined]
        self._engine = engine if scene.is_sqlite else engine.sync_engine
        self.count = 0

    def __enter__(self) -> Self:
        sqlalchemy_event.listen(self._engine, "before_cursor_execute", self._counted)
        return self

    def __exit__(self, *_: object) -> None:
        sqlalchemy_event.remove(self._engine, "before_cursor_execute", self._counted)

    def _counted(self, *_: Any) -> None:
        self.count += 1
