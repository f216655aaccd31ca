"""What is to come of schedules: when, in which words about the clock, and how many more."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from gateway.core.schedule import Schedule
from gateway.core.tick import jitter
from gateway.core.window import Window
from gateway.runtime.ticks import define
from gateway.runtime.upcoming import COUNTED, PER_SCHEDULE, Upcoming, instants, upcoming
from gateway.store.database import open_database
from gateway.store.migrate import migrate
from gateway.store.pause import Kind, Pausable, Pause
from gateway.store.schedules import Origin, StoredSchedule
from gateway.store.scheduling import Writing, pause_schedules, write_schedules
from gateway.store.settings import DatabaseSettings
from tests.store.scene import StoppedClock

AMSTERDAM = "Europe/Amsterdam"
TWICE = "this local time occurs twice that day; this is the {} time"
MOVED = "moved: the local time that was meant does not exist that day"
HOUR = timedelta(hours=1)


async def look(
    folder: Path,
    schedules: dict[str, dict[str, Any]],
    now: str,
    lasting: timedelta,
    *,
    windows: dict[str, Window] | None = None,
    pause: Pause | None = None,
) -> Upcoming:
    """What is to come of these, as seen at an instant."""
    settings = DatabaseSettings.model_validate({"url": f"sqlite:///{folder}/gateway.db"})
    async with open_database(settings) as database:
        await migrate(database)
        clock = StoppedClock()
        clock.instant = datetime.fromisoformat(now)
        database.clock = clock
        for name, fields in schedules.items():
            definition = define(name, Schedule.model_validate(fields))
            await database.commit(write_schedules, Writing(definition=definition, by="me", is_new=True))
        if pause:
            await database.commit(pause_schedules, pause)
        return await upcoming(database, windows or {}, lasting)


def shown(found: Upcoming) -> list[tuple[str, str | None]]:
    return [(item["local"], item.get("note")) for item in found.items]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"cron": "30 2 * * *"}, [("2027-03-28T03:00:00+02:00", MOVED)]),
        ({"calendar": {"days": 1, "time": "02:30"}}, [("2027-03-28T03:00:00+02:00", MOVED)]),
        ({"any": [{"cron": "30 2 * * *"}, {"interval": "24h"}]}, [("2027-03-28T03:00:00+02:00", MOVED)]),
        ({"cron": "0 3 * * *"}, [("2027-03-28T03:00:00+02:00", None)]),
        ({"any": [{"cron": "30 2 * * *"}, {"cron": "0 3 * * *"}]}, [("2027-03-28T03:00:00+02:00", None)]),
        (
            {"cron": "0 * * * *"},
            [("2027-03-28T01:00:00+01:00", None), ("2027-03-28T03:00:00+02:00", None)],
        ),
        ({"interval": "1h", "anchor": "2027-01-01T00:00:00Z"}, [
            ("2027-03-28T01:00:00+01:00", None), ("2027-03-28T03:00:00+02:00", None),
        ]),
        ({"at": "2027-03-28T03:00:00"}, [("2027-03-28T03:00:00+02:00", None)]),
    ],
    ids=str,
)  # fmt: skip
async def test_t01_a_local_time_that_does_not_exist_is_marked(
    tmp_path: Path, fields: dict[str, Any], expected: list[tuple[str, str | None]]
) -> None:
    found = await look(tmp_path, {"s": {**fields, "timezone": AMSTERDAM}}, "2027-03-27T23:30:00+00:00", 2 * HOUR)

    assert shown(found) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"cron": "30 2 * * *"}, [("2027-10-31T02:30:00+02:00", TWICE.format("first"))]),
        (
            {"cron": "30 * * * *"},
            [
                ("2027-10-31T01:30:00+02:00", None),
                ("2027-10-31T02:30:00+02:00", TWICE.format("first")),
                ("2027-10-31T02:30:00+01:00", TWICE.format("second")),
                ("2027-10-31T03:30:00+01:00", None),
            ],
        ),
    ],
    ids=str,
)
async def test_t01_a_local_time_that_occurs_twice_is_marked(
    tmp_path: Path, fields: dict[str, Any], expected: list[tuple[str, str | None]]
) -> None:
    found = await look(tmp_path, {"s": {**fields, "timezone": AMSTERDAM}}, "2027-10-30T23:00:00+00:00", 4 * HOUR)

    assert shown(found) == expected


async def test_they_come_in_the_order_of_time_and_then_of_names(tmp_path: Path) -> None:
    schedules = {name: {"cron": "0 * * * *", "target": "t"} for name in ("b", "a")} | {"c": {"cron": "30 * * * *"}}
    found = await look(tmp_path, schedules, "2027-01-15T22:00:00+00:00", 2 * HOUR)

    assert [(item["at"].strftime("%H:%M"), item["schedule"], item["target"]) for item in found.items] == [
        ("22:30", "c", None),
        ("23:00", "a", "t"),
        ("23:00", "b", "t"),
        ("23:30", "c", None),
        ("00:00", "a", "t"),
        ("00:00", "b", "t"),
    ]
    assert found.truncated == {}


@pytest.mark.parametrize(
    ("fields", "left_out"),
    [
        ({"cron": "* * * * *"}, 1440 - PER_SCHEDULE),
        ({"interval": "10s"}, 8640 - PER_SCHEDULE),
        ({"any": [{"cron": "* * * * *"}]}, COUNTED),
        ({"any": [{"cron": "*/10 * * * *"}]}, 144 - PER_SCHEDULE),
        ({"cron": "*/10 * * * *", "not_during": "night"}, 120 - PER_SCHEDULE),
        ({"cron": "*/15 * * * *"}, None),
    ],
    ids=str,
)
async def test_what_is_left_out_is_counted(tmp_path: Path, fields: dict[str, Any], left_out: int | None) -> None:
    windows = {"night": Window.model_validate({"cron": "0 22 * * *", "for": "4h"})}
    found = await look(tmp_path, {"s": fields}, "2027-01-15T02:00:00+00:00", 24 * HOUR, windows=windows)

    assert found.truncated == ({} if left_out is None else {"s": left_out})
    assert len(found.items) == (96 if left_out is None else PER_SCHEDULE)


async def test_jitter_is_told_apart_from_when_it_is_due(tmp_path: Path) -> None:
    found = await look(tmp_path, {"s": {"interval": "1h", "jitter": "5m"}}, "2027-01-15T22:00:00+00:00", HOUR)

    [item] = found.items
    assert item["at"] == datetime(2027, 1, 15, 23, tzinfo=UTC)
    assert item["starts_at"] == item["at"] + jitter("s", item["at"], timedelta(minutes=5))


@pytest.mark.parametrize("fields", [{"continuous": True, "target": "t"}, {"interval": "1h", "enabled": False}])
async def test_nothing_is_to_come_of_what_is_not_timed_or_off(tmp_path: Path, fields: dict[str, Any]) -> None:
    assert (await look(tmp_path, {"s": fields}, "2027-01-15T22:00:00+00:00", 24 * HOUR)).items == []


@pytest.mark.parametrize(("lasting", "hours"), [(None, []), (2.5 * HOUR, [1, 2])])
async def test_a_pause_is_waited_for_if_it_ends(tmp_path: Path, lasting: timedelta | None, hours: list[int]) -> None:
    pause = Pause(what=Pausable(Kind.SCHEDULE, "s"), by="me", lasting=lasting)
    schedules = {"s": {"cron": "0 * * * *"}}
    found = await look(tmp_path, schedules, "2027-01-15T22:00:00+00:00", 4 * HOUR, pause=pause)

    assert [item["at"].hour for item in found.items] == hours


def test_a_window_that_never_closes_leaves_nothing_and_takes_no_time() -> None:
    always = Window.model_validate({"cron": "* * * * *", "for": "2m"})
    schedule = Schedule.model_validate({"interval": "1s", "not_during": "always"})

    assert list(islice(instants(stored(schedule), schedule, {"always": always}, NOW), 1)) == []


def test_what_is_over_is_over() -> None:
    schedule = Schedule.model_validate({"interval": "1h", "end": "2027-01-15T23:30:00Z"})

    assert list(instants(stored(schedule), schedule, {}, NOW)) == [NOW + HOUR]


NOW = datetime(2027, 1, 15, 22, tzinfo=UTC)


def stored(schedule: Schedule) -> StoredSchedule:
    definition = define("s", schedule)
    return StoredSchedule(
        name="s",
        origin=Origin.API,
        definition=definition.fields,
        timing=definition.timing,
        timezone=definition.timezone,
        zone_rules=definition.zone_rules,
        continuous=definition.continuous,
        enabled=definition.on,
        version=1,
        anchor=NOW,
        cursor=NOW,
        next_at=NOW,
        created_at=NOW,
        updated_at=NOW,
    )
