"""What is wrong although no run has ended: told once, again while it lasts, and once when it is over."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

import pytest

from gateway.core.alert import QUIET
from gateway.core.errors import Invalid, Rejected, TooMany, Unavailable, Unverified
from gateway.core.ids import derived_id, earliest_id, new_id
from gateway.core.request import Decision, Verb
from gateway.runtime.lookout import Lookout
from gateway.runtime.rejections import Rejections
from gateway.runtime.snapshot import Current, Snapshot
from gateway.store.raising import MISTAKES, recent_mistakes
from gateway.store.schema import EPOCH, alarms, events, runs
from gateway.store.writer import Work
from gateway.targets.base import Settings, Target
from tests.store.clockwork import configured
from tests.store.query_plan import plan_of
from tests.store.scene import HOUR, MINUTE, SECOND, TARGET, Scene
from tests.store.watched import Watched, alerted

LIMIT = 2 * HOUR


@dataclass(frozen=True)
class Configured:
    settings: Settings


def watching(snapshot: Snapshot | None = None) -> Snapshot:
    """The target is stale without a success for two hours."""
    settings = Settings(kind="stub", stale_after=LIMIT)
    targets = cast("Mapping[str, Target]", {TARGET: Configured(settings)})
    return replace(snapshot or alerted(), targets=targets)


async def look(scene: Scene, snapshot: Snapshot) -> None:
    await Lookout(scene.database, Current(snapshot), cast("Any", None)).look()


async def kinds(scene: Scene) -> list[str]:
    """The types of all events of the gateway itself."""
    rows = await scene.rows(events, events.c.source == "gateway")
    return [row.type for row in sorted(rows, key=lambda row: row.id)]


async def test_a_target_without_a_success_is_stale_and_recovers_with_the_next(scene: Scene) -> None:
    snapshot = watching()
    watched = Watched(scene, snapshot)
    await watched.succeeds()
    scene.wait(LIMIT - SECOND)
    await look(scene, snapshot)
    assert await watched.told() == []
    for _ in range(3):
        scene.wait(SECOND)
        await look(scene, snapshot)
    [told] = await watched.told()
    assert (told["what"], told["name"], told["key"]) == ("stale", TARGET, None)
    assert told["last_success"] == told["failing_since"] == "2027-01-15T22:00:00+00:00"
    assert told["reason"] == "no run has succeeded for 2h"
    await watched.succeeds()
    await look(scene, snapshot)

    assert [one["what"] for one in await watched.told()] == ["stale", "recovered"]
    assert await kinds(scene) == ["gateway.target.stale", "gateway.run.succeeded"]
    assert await scene.rows(alarms) == []


async def test_a_target_that_never_succeeded_is_stale_from_when_it_was_first_seen(scene: Scene) -> None:
    snapshot = watching()
    watched = Watched(scene, snapshot)
    await look(scene, snapshot)
    scene.wait(LIMIT)
    await look(scene, snapshot)
    assert await watched.told() == []
    scene.wait(SECOND)
    await look(scene, snapshot)

    assert [(one["what"], one["last_success"]) for one in await watched.told()] == [("stale", None)]


async def test_staleness_is_told_again_while_it_lasts(scene: Scene) -> None:
    snapshot = watching(alerted(ops={"repeat": "1h"}))
    watched = Watched(scene, snapshot)
    await watched.succeeds()
    for _ in range(15):
        scene.wait(15 * MINUTE)
        await look(scene, snapshot)

    assert [one["what"] for one in await watched.told()] == ["stale", "stale"]


async def test_each_staleness_is_one_event_for_triggers_that_listen(scene: Scene) -> None:
    """Also where there are no alerts."""
    listening = {"on": {"source": "gateway", "type": "gateway.target.*"}, "target": "repair"}
    snapshot = watching(configured(triggers={"repair": listening}))
    watched = Watched(scene, snapshot)
    for _ in range(2):
        await watched.succeeds()
        for _ in range(4):
            scene.wait(HOUR)
            await look(scene, snapshot)

    assert await kinds(scene) == ["gateway.target.stale"] * 2
    assert len(await scene.rows(runs, runs.c.target == "repair")) == 2


async def test_failing_and_stale_are_over_in_one_message(scene: Scene) -> None:
    snapshot = watching()
    watched = Watched(scene, snapshot)
    await watched.succeeds()
    scene.wait(LIMIT)
    await watched.fails()
    await look(scene, snapshot)
    await watched.succeeds()

    assert [one["what"] for one in await watched.told()] == ["failing", "stale", "recovered"]


async def mistake(scene: Scene, trigger: str | None = "t", source: str = "netbox") -> None:
    """Something that cannot say what it would do."""
    decision = Decision(trigger=trigger, decision=Verb.ERROR, reason="when: no such name")
    await scene.accept(decision, id=derived_id(scene.now, new_id()), source=source)


async def test_a_trigger_that_fails_is_told_once(scene: Scene) -> None:
    snapshot = alerted()
    watched = Watched(scene, snapshot)
    lookout = Lookout(scene.database, Current(snapshot), cast("Any", None))
    for _ in range(5):
        await mistake(scene)
        await lookout.look()
        scene.wait(MINUTE)

    assert await watched.what() == [("trigger_error", "t", None)]
    assert (await watched.told())[0]["reason"] == "when: no such name"
    [row] = await scene.rows(alarms)
    assert (row.kind, row.name, row.what, row.times) == ("trigger", "t", "trigger_error", 5)


async def test_it_is_told_anew_after_a_silence(scene: Scene) -> None:
    snapshot = alerted()
    watched = Watched(scene, snapshot)
    for _ in range(2):
        await mistake(scene)
        await look(scene, snapshot)
        scene.wait(QUIET + SECOND)

    assert [what for what, *_ in await watched.what()] == ["trigger_error"] * 2


async def test_a_new_leader_tells_nothing_again(scene: Scene) -> None:
    snapshot = alerted()
    watched = Watched(scene, snapshot)
    await mistake(scene)
    for _ in range(3):
        await look(scene, snapshot)

    assert len(await watched.told()) == 1


async def test_a_trigger_that_fails_on_the_news_of_its_failing_is_no_loop(scene: Scene) -> None:
    listening = {
        "on": {"source": "gateway", "type": "gateway.trigger.error"},
        "target": "repair",
        "when": "event.data.nonsense",
    }
    snapshot = replace(alerted(), triggers=configured(triggers={"t": listening}).triggers)
    scene.clock.instant = EPOCH + timedelta(seconds=time.time())  # what is new here has an id of today
    await mistake(scene)
    for _ in range(5):
        await look(scene, snapshot)
        scene.wait(SECOND)

    assert len(await recent_mistakes(scene.database, scene.now - MINUTE)) == 2
    assert await kinds(scene) == ["gateway.trigger.error"]


async def test_what_a_schedule_cannot_render_is_told_as_well(scene: Scene) -> None:
    watched = Watched(scene, alerted())
    await mistake(scene, None, "nightly")
    await look(scene, alerted())

    assert await watched.what() == [("trigger_error", "nightly", None)]


async def test_poison_of_a_queue_is_a_source_that_rejects(scene: Scene) -> None:
    snapshot = replace(alerted(), sources={"netbox": cast("Any", None)})
    watched = Watched(scene, snapshot)
    await mistake(scene, None)
    await look(scene, snapshot)

    assert await watched.what() == [("source_rejecting", "netbox", None)]


async def test_an_alert_about_some_targets_hears_of_their_triggers(scene: Scene) -> None:
    triggers = configured(triggers={"t": {"on": "netbox", "target": TARGET}}).triggers
    snapshot = replace(alerted(ours={"targets": [TARGET]}, others={"targets": ["other"]}), triggers=triggers)
    await mistake(scene)
    await look(scene, snapshot)

    assert [row.trigger for row in await scene.rows(runs)] == ["alerts.ours"]


def mistakes(work: Work, askers: Sequence[None]) -> list[None]:
    work.connection.execute(MISTAKES, {"since": earliest_id(EPOCH)})
    return [None for _ in askers]


async def test_only_events_with_errors_are_looked_at(scene: Scene) -> None:
    for number in range(20):
        await scene.accept(Decision(trigger="t", decision=Verb.ERROR if number % 10 == 0 else Verb.FILTERED))

    assert len(await recent_mistakes(scene.database, EPOCH)) == 2
    if scene.is_sqlite:  # PostgreSQL reads a table as small as this one from end to end
        assert "events_with_errors" in await plan_of(scene.database, mistakes, None, "SELECT")


@pytest.mark.parametrize("rejection", [Unverified("no"), Invalid("no"), Rejected("no")], ids=lambda one: one.title)
async def test_s01_rejections_are_told_once_and_counted(scene: Scene, rejection: Rejected) -> None:
    snapshot = alerted()
    watched = Watched(scene, snapshot)
    rejections = Rejections(scene.database, Current(snapshot))
    for _ in range(3):
        for _ in range(1000):
            rejections.note("netbox", rejection)
        await rejections.tell()
        scene.wait(MINUTE)

    assert await watched.what() == [("source_rejecting", "netbox", None)]
    assert [row.times for row in await scene.rows(alarms)] == [3000]


async def test_rejections_that_say_nothing_about_a_sender_are_not_told(scene: Scene) -> None:
    rejections = Rejections(scene.database, Current(alerted()))
    rejections.note("netbox", TooMany("slow down"))
    rejections.note("netbox", Unavailable("later"))
    await rejections.tell()

    assert await scene.rows(events) == []


async def test_where_nobody_listens_nothing_is_stored(scene: Scene) -> None:
    """Neither without any alert, nor with one that tells other things."""
    for snapshot in (watching(configured()), watching(alerted(ops={"on": ["failing"]}))):
        rejections = Rejections(scene.database, Current(snapshot))
        rejections.note("netbox", Unverified("no"))
        await rejections.tell()
        await mistake(scene)
        scene.wait(3 * LIMIT)
        await look(scene, snapshot)

    assert await kinds(scene) == []
    assert [row.what for row in await scene.rows(alarms) if row.raised] == []
