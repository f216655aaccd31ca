"""The calendar: every so many days, weeks, months or years."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.core.calendar import Calendar
from gateway.core.local_time import LocalTimes, to_local
from tests.core.due import due, utc

UTC_ZONE = ZoneInfo("UTC")
DAY = timedelta(days=1)


def times(start: str | None = None, zone: str = "UTC", **keys: Any) -> LocalTimes:
    return Calendar.model_validate(keys).times(ZoneInfo(zone), utc(start) if start else None)


def days(since: str, count: int, **keys: Any) -> list[str]:
    instant, calendar, found = utc(since), times(**keys), []
    for _ in range(count):
        following = calendar.after(instant)
        assert following
        assert calendar.count(instant, following) == 1
        assert calendar.count(following - timedelta(seconds=1), following) == 1
        instant = following
        found.append(f"{instant:%Y-%m-%d}")
    return found


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"days": 1}, ["2026-01-02", "2026-01-03"]),
        ({"days": 3}, ["2026-01-04", "2026-01-07"]),
        ({"weeks": 1}, ["2026-01-05", "2026-01-12"]),
        ({"weeks": 1, "weekday": "sun"}, ["2026-01-04", "2026-01-11"]),
        ({"weeks": 2, "weekday": "thu"}, ["2026-01-15", "2026-01-29"]),
        ({"months": 1}, ["2026-02-01", "2026-03-01"]),
        ({"months": 1, "day": 31}, ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]),
        ({"months": 3}, ["2026-04-01", "2026-07-01", "2026-10-01", "2027-01-01"]),
        ({"months": 5, "day": 29}, ["2026-04-29", "2026-09-29", "2027-02-28"]),
        ({"years": 1}, ["2027-01-01", "2028-01-01"]),
        ({"years": 1, "month": 2, "day": 29}, ["2026-02-28", "2027-02-28", "2028-02-29", "2029-02-28"]),
        ({"years": 4, "month": "feb", "day": 30}, ["2026-02-28", "2030-02-28"]),
        ({"years": 1000}, ["2970-01-01"]),
    ],
)
def test_it_comes_every_so_often_and_in_the_last_days_of_short_months(
    keys: dict[str, Any], expected: list[str]
) -> None:
    assert days("2026-01-01T00:00Z", len(expected), **keys) == expected


def test_a_century_may_have_no_leap_day() -> None:
    assert days("2099-12-31T00:00Z", 1, years=1, month=2, day=29) == ["2100-02-28"]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"days": 3}, ["2026-05-13", "2026-05-16"]),
        ({"weeks": 2}, ["2026-05-13", "2026-05-27"]),
        ({"weeks": 2, "weekday": "fri"}, ["2026-05-15", "2026-05-29"]),
        ({"weeks": 2, "weekday": "mon"}, ["2026-05-25", "2026-06-08"]),
        ({"months": 2}, ["2026-05-13", "2026-07-13"]),
        ({"months": 2, "day": 1}, ["2026-07-01", "2026-09-01"]),
        ({"years": 2}, ["2026-05-13", "2028-05-13"]),
        ({"years": 2, "day": 1, "month": "oct"}, ["2026-10-01", "2028-10-01"]),
    ],
)
def test_it_is_counted_from_the_start(keys: dict[str, Any], expected: list[str]) -> None:
    """From Wednesday the 13th of May 2026, its week, its month, or its year."""
    start = "2026-05-13T00:00Z"

    assert days("2026-05-12T12:00Z", 2, start=start, **keys) == expected


def test_the_start_is_a_day_of_the_time_zone() -> None:
    calendar = times(start="2026-05-12T23:30Z", zone="Europe/Berlin", months=1)

    assert calendar.after(utc("2026-05-01T00:00Z")) == utc("2026-05-13T00:00+02:00")


@pytest.mark.parametrize(
    ("time", "since", "expected"),
    [
        ("04:00", "2026-05-01T00:00+02:00", "2026-05-01T04:00+02:00"),
        ("04:00:30", "2026-05-01T00:00+02:00", "2026-05-01T04:00:30+02:00"),
        ("02:30", "2026-03-29T00:00+01:00", "2026-03-29T03:00+02:00"),
        ("02:30", "2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"),
        ("02:30", "2026-10-25T00:00+02:00", "2026-10-25T02:30+02:00"),
        ("02:30", "2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"),
        ("02:30", "2026-10-25T02:10+01:00", "2026-10-26T02:30+01:00"),
    ],
)
def test_t01_the_time_is_local(time: str, since: str, expected: str) -> None:
    assert times(zone="Europe/Berlin", days=1, time=time).after(utc(since)) == utc(expected)


def clamped(year: int, month: int, day: int) -> date:
    while True:
        try:
            return date(year, month, day)
        except ValueError:
            day -= 1


@given(
    st.integers(1, 40),
    st.integers(1, 31),
    st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001
    st.integers(1, 5000),
)
@settings(deadline=None)
def test_t02_months_are_counted_from_one_january(every: int, day: int, since: datetime, span: int) -> None:
    since = since.replace(tzinfo=UTC)
    until, calendar = since + span * DAY, times(months=every, day=day, time="12:00")
    months = [divmod(index, 12) for index in range(12 * 1970, 12 * 2120, every)]
    noons = [
        datetime.combine(clamped(year, month + 1, day), datetime.min.time(), UTC) + DAY / 2 for year, month in months
    ]
    expected = [noon for noon in noons if since < noon <= until]

    assert due(calendar, since, until) == expected
    assert calendar.count(since, until) == len(expected)


@given(st.sampled_from(["days", "weeks"]), st.integers(1, 40), st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001
def test_t02_days_and_weeks_are_even(unit: str, every: int, since: datetime) -> None:
    keys: dict[str, Any] = {unit: every, "time": "23:59:59"}
    calendar = times(**keys)
    first = calendar.after(since.replace(tzinfo=UTC))
    assert first

    length = every * DAY * (7 if unit == "weeks" else 1)
    assert first - since.replace(tzinfo=UTC) <= length
    assert calendar.after(first) == first + length
    assert unit == "days" or to_local(first, UTC_ZONE).weekday() == 0


@pytest.mark.parametrize(
    "keys",
    [
        {}, {"days": 1, "weeks": 1}, {"days": 0}, {"days": -1}, {"months": 1001}, {"days": 1.5}, {"days": "x"},
        {"days": 10**400}, {"days": None}, {"time": "04:00"}, {"days": 1, "hours": 1},
        {"days": 1, "weekday": "mon"}, {"months": 1, "weekday": "mon"}, {"weeks": 1, "weekday": "monday"},
        {"weeks": 1, "weekday": 0}, {"weeks": 1, "day": 1}, {"days": 1, "day": 1}, {"months": 1, "day": 0},
        {"months": 1, "day": 32}, {"months": 1, "month": 1}, {"years": 1, "month": 0}, {"years": 1, "month": 13},
        {"years": 1, "month": "x"}, {"days": 1, "time": "4:00"}, {"days": 1, "time": "24:00"},
        {"days": 1, "time": "04:60"}, {"days": 1, "time": 240}, {"days": 1, "time": "04:00:00.5"},
        {"days": 1, "time": "04:00Z"}, {"days": 1, "time": "\u0660\u0664:00"}, {"days": 1, "time": "04:00\n"},
        {"days": 1, "time": None}, {"days": 1, "time": "0" * 10_000},
    ],
)  # fmt: skip
def test_t09_what_is_no_calendar_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Calendar.model_validate(keys)


@pytest.mark.parametrize(
    "keys",
    [
        {"months": 1, "day": 1, "time": "04:00"},
        {"weeks": 2, "weekday": "fri", "time": "04:00:30"},
        {"years": 1, "month": 2, "time": "00:00"},
    ],
)
def test_it_is_written_as_it_was_read(keys: dict[str, Any]) -> None:
    calendar = Calendar.model_validate(keys)

    assert calendar.model_dump(mode="json", exclude_none=True) == keys
    assert Calendar.model_validate(calendar.model_dump()) == calendar


def test_a_month_may_be_named() -> None:
    assert Calendar.model_validate({"years": 1, "month": "DEC"}).month == 12
