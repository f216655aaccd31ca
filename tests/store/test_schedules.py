"""What people and files do to schedules, and how far these have come afterwards."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest

from gateway.core.errors import Conflict, NotFound
from gateway.runtime.ticks import define
from gateway.store.leadership import NotLeading
from gateway.store.schedules import (
    due_schedules,
    file_schedules,
    find_schedule,
    list_schedules,
    misjudged_schedules,
    next_look,
)
from gateway.store.scheduling import FileChange, Writing, follow_file, write_schedules
from gateway.store.schema import schedules, skips
from tests.store.clockwork import NIGHTLY, Clockwork, configured, schedule
from tests.store.scene import HOUR, MINUTE, NOW, SECOND, Scene, all_of

HOURLY = {"cron": "0 * * * *"}
DAY = timedelta(days=1)


async def test_there_is_nothing_to_catch_up_with_from_before_the_creation(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create("cron", misfire={"grace": "30d"})
    await clockwork.create("interval", interval="1m", anchor="2001-01-01T00:00Z")
    await clockwork.create("at", at=(NOW - SECOND).isoformat())
    await clockwork.create("now", at=NOW.isoformat())
    await clockwork.create("calendar", calendar={"days": 1, "time": "21:00"}, start="2020-01-01T00:00")
    await clockwork.turn()

    for name in ("cron", "interval", "at", "now", "calendar"):
        assert await clockwork.ticks(name) == []
        assert await clockwork.skips(name) == []


async def test_an_interval_counts_from_its_creation(scene: Scene, clockwork: Clockwork) -> None:
    scene.wait(timedelta(milliseconds=700))
    await clockwork.create(interval="10m")
    await clockwork.turn(25 * MINUTE)

    assert (await clockwork.stored()).anchor == NOW
    assert await clockwork.ticks() == [NOW + 20 * MINUTE]


async def test_who_made_it_and_when(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create(payload={"a": "{{ b }}"})
    scene.wait(HOUR)
    await clockwork.replace(payload={"a": 2})

    one = await clockwork.stored()
    assert (one.origin, one.created_at, one.updated_at, one.updated_by) == ("api", NOW, NOW + HOUR, "me")
    assert one.definition == define(NIGHTLY, schedule(payload={"a": 2})).fields


@pytest.mark.parametrize(
    ("before", "after", "ticks"),
    [
        ({}, {"payload": {"a": 1}}, 10),
        ({}, {"misfire": {"policy": "skip"}, "cron": "* * * * *"}, 1),
        ({}, {"cron": "*/1 * * * *"}, None),
        ({}, {"timezone": "Europe/Berlin"}, None),
        ({}, {"start": "2027-01-01T00:00"}, None),
        ({"interval": "1m"}, {"interval": "1m", "jitter": "5s"}, 10),
        ({"interval": "1m"}, {"interval": "1m", "anchor": NOW.isoformat()}, None),
        ({"enabled": False}, {}, None),
        ({"cron": ""}, {}, None),
    ],
)
async def test_the_cursor_stays_where_the_timing_does_and_where_it_was_on(
    scene: Scene, clockwork: Clockwork, before: dict[str, Any], after: dict[str, Any], ticks: int | None
) -> None:
    """Nobody leads for ten minutes, in which it is changed."""
    await clockwork.create(**before)
    scene.wait(10 * MINUTE + SECOND)
    await clockwork.replace(**after)
    kept = (await clockwork.stored()).cursor == NOW
    await clockwork.turn()

    assert kept is (ticks is not None)
    assert [1 + row.missed for row in await clockwork.runs()] == ([ticks] if ticks else [])


async def test_a_new_timing_counts_from_when_it_was_set(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create(interval="1h")
    scene.wait(50 * MINUTE)
    await clockwork.replace(interval="2h")
    await clockwork.turn()

    assert (await clockwork.stored()).next_at == NOW + 50 * MINUTE + 2 * HOUR


async def test_while_it_is_disabled_nothing_is_due(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create()
    await clockwork.turn(MINUTE)
    await clockwork.replace(enabled=False)
    assert (await clockwork.stored()).next_at is None
    await clockwork.turn(30 * MINUTE)
    await clockwork.replace()
    await clockwork.turn(MINUTE)

    assert await clockwork.ticks() == [NOW + MINUTE, NOW + 32 * MINUTE]
    assert [row.missed for row in await clockwork.runs()] == [0]
    assert await clockwork.skips() == []


async def test_what_has_been_is_remembered_over_changes(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create()
    await clockwork.turn(MINUTE)
    await clockwork.pause(reason="moving")
    before = await clockwork.stored()
    await clockwork.replace(**HOURLY)
    after = await clockwork.stored()

    for name in ("ticks", "last_tick_at", "last_run_id", "paused", "paused_by", "pause_reason", "created_at"):
        assert getattr(after, name) == getattr(before, name)
    assert after.next_at is None


async def test_each_change_is_another_version(scene: Scene, clockwork: Clockwork) -> None:
    """Ticks are none."""
    versions = []
    for change in (clockwork.create, clockwork.turn, clockwork.pause, clockwork.resume, clockwork.replace):
        await change()
        versions.append((await clockwork.stored()).version)
    await clockwork.resume()

    assert versions == [1, 1, 2, 3, 4]
    assert (await clockwork.stored()).version == 4


async def test_what_exists_is_not_created_and_what_does_not_is_not_changed(scene: Scene, clockwork: Clockwork) -> None:
    for change in (clockwork.replace, clockwork.remove, clockwork.pause, clockwork.resume):
        with pytest.raises(NotFound, match="there is no schedule 'nightly'"):
            await change()
    await clockwork.create()
    with pytest.raises(Conflict, match="there is a schedule 'nightly' already"):
        await clockwork.create()


async def test_of_two_who_create_it_together_one_does(scene: Scene, clockwork: Clockwork) -> None:
    results = await all_of(*[clockwork.create(payload={"number": number}) for number in range(5)])

    assert sorted(type(result).__name__ for result in results) == ["Conflict"] * 4 + ["NoneType"]
    (row,) = await scene.rows(schedules)
    assert row.definition == define(NIGHTLY, schedule(payload={"number": results.index(None)})).fields


async def test_what_is_removed_is_gone_but_for_its_runs(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create(overlap="skip")
    for _ in range(2):
        await clockwork.turn(MINUTE)
    await clockwork.remove()

    assert await find_schedule(scene.database, NIGHTLY) is None
    assert (await scene.rows(schedules), await scene.rows(skips)) == ([], [])
    assert len(await clockwork.runs()) == 1
    await clockwork.create()
    assert (await clockwork.stored()).ticks == 0


async def test_a_pause_until_further_notice(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create()
    await clockwork.pause(reason="moving")
    one = await clockwork.stored()
    assert (one.paused, one.paused_until, one.paused_by, one.pause_reason) == (True, None, "me", "moving")
    await clockwork.turn(30 * MINUTE)
    await clockwork.resume()
    await clockwork.turn(MINUTE)

    assert await clockwork.ticks() == [NOW + 31 * MINUTE]
    assert [row.missed for row in await clockwork.runs()] == [0]
    assert await clockwork.skips() == []


async def test_a_pause_that_nobody_saw_the_end_of(scene: Scene, clockwork: Clockwork) -> None:
    """What was due after it is made up for, even if it is resumed once more."""
    await clockwork.create()
    await clockwork.pause(lasting=10 * MINUTE)
    scene.wait(15 * MINUTE)
    await clockwork.resume()
    await clockwork.turn()

    assert [(row.scheduled_for, row.missed) for row in await clockwork.runs()] == [(NOW + 15 * MINUTE, 4)]


async def test_a_change_does_not_end_a_pause(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create()
    await clockwork.pause(lasting=10 * MINUTE)
    await clockwork.replace(payload={"a": 1})
    await clockwork.replace(enabled=False)
    await clockwork.replace(cron="*/2 * * * *")
    await clockwork.turn(9 * MINUTE)
    assert await clockwork.ticks() == []
    for _ in range(3):
        await clockwork.turn(MINUTE)

    assert await clockwork.ticks() == [NOW + 12 * MINUTE]


async def test_one_that_is_disabled_may_be_paused_and_resumed(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create(enabled=False)
    await clockwork.pause(lasting=MINUTE)
    await clockwork.turn(HOUR)
    await clockwork.resume()

    assert (await clockwork.stored()).next_at is None


async def test_the_file_wins_over_the_api(scene: Scene, clockwork: Clockwork) -> None:
    """The cursor goes over to it, if it says the same about when."""
    await clockwork.create(payload={"a": 1})
    scene.wait(10 * MINUTE)
    await clockwork.follow(configured(schedules={NIGHTLY: {"payload": {"a": 2}}}))
    one = await clockwork.stored()

    assert (one.origin, one.cursor, one.updated_by, one.version) == ("file", NOW, None, 2)
    for change in (clockwork.replace, clockwork.remove, clockwork.create):
        with pytest.raises(Conflict, match="is defined in the configuration file"):
            await change()


async def test_one_of_the_file_is_paused_like_any(scene: Scene, clockwork: Clockwork) -> None:
    snapshot = configured(schedules={NIGHTLY: {}})
    await clockwork.follow(snapshot)
    await clockwork.pause()
    await clockwork.follow(snapshot)

    assert (await clockwork.stored()).paused


@pytest.mark.parametrize(("span", "is_kept"), [(24 * HOUR, True), (24 * HOUR + SECOND, False), (30 * DAY, False)])
async def test_what_has_gone_from_the_file_is_remembered_for_a_day(
    scene: Scene, clockwork: Clockwork, span: timedelta, is_kept: bool
) -> None:
    """Whether or not the file has changed otherwise meanwhile."""
    snapshot = configured(schedules={NIGHTLY: {"misfire": {"grace": "90d"}}})
    await clockwork.follow(snapshot)
    await clockwork.turn(MINUTE)
    await clockwork.follow(configured())
    assert await find_schedule(scene.database, NIGHTLY) is None
    assert await file_schedules(scene.database) == {}
    await clockwork.turn(span)
    assert len(await clockwork.ticks()) == 1
    await clockwork.follow(snapshot)
    one = await clockwork.stored()

    assert one.cursor == (NOW + MINUTE if is_kept else scene.now)
    assert one.version == (3 if is_kept else 1)


async def test_what_has_gone_from_the_file_may_be_created_afresh(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.follow(configured(schedules={NIGHTLY: {}}))
    await clockwork.turn(MINUTE)
    await clockwork.follow(configured())
    with pytest.raises(NotFound):
        await clockwork.replace()
    scene.wait(10 * MINUTE)
    await clockwork.create()
    one = await clockwork.stored()

    assert (one.origin, one.version, one.cursor, one.ticks, one.created_at) == ("api", 1, scene.now, 0, scene.now)


async def test_l02_a_former_leader_changes_no_schedules(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create()
    before = [asdict(one) for one in await list_schedules(scene.database)]
    former = clockwork.leading
    await clockwork.lead()
    for definition in (None, define(NIGHTLY, schedule(**HOURLY))):
        change = FileChange(leading=former, name=NIGHTLY, definition=definition)
        with pytest.raises(NotLeading):
            await scene.database.commit(follow_file, change)

    assert [asdict(one) for one in await list_schedules(scene.database)] == before


async def test_the_longest_waiting_are_looked_at_first(scene: Scene, clockwork: Clockwork) -> None:
    for name in ("b", "a"):
        await clockwork.create(name)
    scene.wait(-MINUTE)
    await clockwork.create("c")
    await clockwork.create("d", enabled=False)
    scene.wait(MINUTE)

    assert [one.name for one in await due_schedules(scene.database, NOW, 10)] == ["c", "a", "b"]
    assert [one.name for one in await due_schedules(scene.database, NOW, 2)] == ["c", "a"]
    assert [one.name for one in await due_schedules(scene.database, NOW - SECOND, 10)] == ["c"]
    assert (await next_look(scene.database))[1] == NOW - MINUTE


async def test_without_schedules_there_is_nothing_to_look_at(scene: Scene) -> None:
    now, first = await next_look(scene.database)

    assert first is None
    assert abs(now - scene.database.now()) < 3650 * DAY


async def test_they_are_listed_by_name(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.follow(configured(schedules={"d": {}, "b": {}}))
    for name in ("c", "a"):
        await clockwork.create(name)
    await clockwork.follow(configured(schedules={"d": {}}))

    assert [one.name for one in await list_schedules(scene.database)] == ["a", "c", "d"]
    assert [one.name for one in await list_schedules(scene.database, 1, after="a")] == ["c"]


async def test_t10_those_are_found_whose_zone_means_something_else_by_now(scene: Scene, clockwork: Clockwork) -> None:
    zones = {"a": "Europe/Berlin", "b": "Europe/Paris", "c": "Europe/Berlin", "off": "Europe/Berlin"}
    for name, zone in zones.items():
        await clockwork.create(name, timezone=zone, enabled=name != "off")
    await clockwork.turn()
    known = {one.timezone: one.zone_rules for one in await list_schedules(scene.database)}

    assert await misjudged_schedules(scene.database, scene.now, known.__getitem__) == []
    changed = known | {"Europe/Berlin": "f" * 64}
    assert sorted(await misjudged_schedules(scene.database, scene.now, changed.__getitem__)) == ["a", "c"]


async def test_t04_those_are_found_whose_cursor_is_ahead(scene: Scene, clockwork: Clockwork) -> None:
    await clockwork.create("before")
    await clockwork.turn(HOUR)
    await clockwork.create("after")
    await clockwork.turn()
    known = {one.timezone: one.zone_rules for one in await list_schedules(scene.database)}.__getitem__
    await clockwork.create("ahead")

    assert await misjudged_schedules(scene.database, scene.now, known) == []
    assert sorted(await misjudged_schedules(scene.database, NOW, known)) == ["after", "ahead", "before"]


async def test_a_definition_is_not_written_by_halves(scene: Scene, clockwork: Clockwork) -> None:
    """Of several that come together, those that are refused leave nothing."""
    await clockwork.follow(configured(schedules={"file": {}}))
    results = await all_of(
        *[
            scene.database.commit(
                write_schedules, Writing(definition=define(name, schedule()), by="me", is_new=is_new)
            )
            for name, is_new in [("new", True), ("file", False), ("missing", False), ("new", False)]
        ]
    )  # fmt: skip

    assert [type(result).__name__ for result in results] == ["NoneType", "Conflict", "NotFound", "NoneType"]
    assert [(one.name, one.version) for one in await list_schedules(scene.database)] == [("file", 1), ("new", 2)]
