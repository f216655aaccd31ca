"""Cron expressions: what they mean, and which are none."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter  # type: ignore[import-untyped]
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from gateway.core.cron import MAX_LENGTH, Cron, cron_times, is_hashed, parse_cron
from gateway.core.local_time import LocalTimes
from tests.core.due import due, utc

DAY = timedelta(days=1)
START = utc("2026-01-01T00:00Z")
BEFORE = START - timedelta(seconds=1)


def times(cron: str, name: str = "") -> LocalTimes:
    return cron_times(cron, ZoneInfo("UTC"), name)


def days(cron: str) -> list[int]:
    """The days of January 2026, which began with a Thursday."""
    return [instant.day for instant in due(times(cron), BEFORE, BEFORE + 31 * DAY)]


def first(cron: str, since: str = "2026-01-01T00:00Z", name: str = "") -> datetime | None:
    return times(cron, name).after(utc(since))


@pytest.mark.parametrize(
    ("cron", "following"),
    [
        ("*/5 * * * *", "2026-01-01T00:05Z"),
        ("5 4 * * *", "2026-01-01T04:05Z"),
        ("\t5  4 * * *\n", "2026-01-01T04:05Z"),
        ("0 0 1 FEB *", "2026-02-01T00:00Z"),
        ("0 12 * jan-mar Mon", "2026-01-05T12:00Z"),
        ("30 0 12 * * *", "2026-01-01T12:00:30Z"),  # six fields: the second comes first
        ("*/15 * * * * *", "2026-01-01T00:00:15Z"),
        ("0 0 0 1 1 ?", "2027-01-01T00:00Z"),
        ("59/15 * * * *", "2026-01-01T00:59Z"),
        ("5-5 * * * *", "2026-01-01T00:05Z"),
        ("* 7-7 * * *", "2026-01-01T07:00Z"),
        ("0 0 31-L * *", "2026-01-31T00:00Z"),
        ("@hourly", "2026-01-01T01:00Z"),
        ("@Daily", "2026-01-02T00:00Z"),
        ("@midnight", "2026-01-02T00:00Z"),
        ("@weekly", "2026-01-04T00:00Z"),
        ("@monthly", "2026-02-01T00:00Z"),
        ("@yearly", "2027-01-01T00:00Z"),
        ("@annually", "2027-01-01T00:00Z"),
    ],
)
def test_an_expression_means_its_times(cron: str, following: str) -> None:
    assert first(cron) == utc(following)


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 0 L * *", [31]),
        ("0 0 28-L * *", [28, 29, 30, 31]),
        ("0 0 15W * *", [15]),
        ("0 0 17W * *", [16]),
        ("0 0 18W * *", [19]),
        ("0 0 * * fri#2", [9]),
        ("0 0 * * L5", [30]),
        ("0 0 * * 0", [4, 11, 18, 25]),
        ("0 0 * * 7", [4, 11, 18, 25]),
        ("0 0 * * sun-sun", [4, 11, 18, 25]),
        ("0 0 * * 7-7", [4, 11, 18, 25]),
        ("0 0 * * 5-5", [2, 9, 16, 23, 30]),
        ("0 0 * * sat-sun", [3, 4, 10, 11, 17, 18, 24, 25, 31]),
        ("0 0 * * 6-0", [3, 4, 10, 11, 17, 18, 24, 25, 31]),
        ("0 0 * * thu-sun/2", [1, 3, 8, 10, 15, 17, 22, 24, 29, 31]),
        ("0 0 * * fri-sun/2", [2, 4, 9, 11, 16, 18, 23, 25, 30]),
        ("0 0 * * 0-7", list(range(1, 32))),
        ("0 0 * * mon-sun", list(range(1, 32))),
        ("0 0 * * mon-tue#1", [5, 6]),
        ("0 0 * * sat-sun#1", [3, 4]),
        ("0 0 13 * fri", [2, 9, 13, 16, 23, 30]),  # either, where both are restricted
        ("0 0 ? * fri", [2, 9, 16, 23, 30]),
    ],
)
def test_an_expression_means_its_days(cron: str, expected: list[int]) -> None:
    assert days(cron) == expected


DAYS = st.one_of(
    st.just("*"), st.lists(st.integers(1, 31), min_size=1, max_size=4).map(lambda xs: ",".join(map(str, xs)))
)
MONTHS = st.one_of(st.just("*"), st.sampled_from(["1", "2,12", "jan-mar", "6-9/2", "*/5"]))
WEEKDAYS = st.one_of(st.just("*"), st.sampled_from(["mon-fri", "0", "7", "1,3", "fri#1", "1#5", "2-4"]))


@given(DAYS, MONTHS, WEEKDAYS, st.datetimes(datetime(2000, 1, 1), datetime(2080, 1, 1)))  # noqa: DTZ001
@settings(deadline=None)
def test_t02_days_are_those_of_another_library(day: str, month: str, weekday: str, since: datetime) -> None:
    if day != "*" and "#" in weekday:  # either of both to the one, both at once to the other
        weekday = "*"
    since = since.replace(microsecond=0, tzinfo=UTC)
    text = f"30 12 {day} {month} {weekday}"
    try:
        ours = times(text)
    except ValueError:  # no such day
        return
    expected = list(islice(CronSim(text, since), 5))

    assert due(ours, since, expected[-1]) == expected


def test_leap_days_are_found_across_a_century_that_has_none() -> None:
    assert first("0 0 29 2 *", "2096-03-01T00:00Z") == utc("2104-02-29T00:00Z")


def test_h_is_made_from_the_name() -> None:
    assert first("H H * * *", name="one") == first("H H * * *", name="one")
    assert len({first("H H * * *", name=f"name-{i}") for i in range(100)}) > 80


@pytest.mark.parametrize(
    "cron", ["H * * * *", "h(10-19) * * * *", "H/15 * * * *", "H H H H *", "0 0 * * H", "H H 0 * * *"]
)
def test_h_leaves_nobody_without_a_time(cron: str) -> None:
    for i in range(100):
        assert times(cron, f"name-{i}").count(START, START + 366 * DAY) > 0


def test_h_keeps_within_what_it_is_given() -> None:
    instants = [first("H(10-19) 3 * * *", name=f"name-{i}") for i in range(100)]

    assert {instant.minute for instant in instants if instant} == set(range(10, 20))


def test_h_is_a_day_that_every_month_has() -> None:
    for i in range(100):
        assert times("0 0 H * *", f"name-{i}").count(BEFORE, BEFORE + 365 * DAY) == 12


@pytest.mark.parametrize("alias", ["@daily", "@hourly", "@yearly"])
def test_an_alias_means_the_same_whatever_the_name(alias: str) -> None:
    assert not is_hashed(alias)
    assert first(alias, name="one") == first(alias, name="two") == first(alias)


@pytest.mark.parametrize(
    ("cron", "reason"),
    [
        ("", "expected five fields"),
        ("* * * *", "expected five fields"),
        ("* * * * * * *", "expected five fields"),
        ("0 0 1 1 * * 2030", "expected five fields"),
        ("x * * * *", "minute 'x' is not understood, expected 0-59"),
        ("60 * * * *", "minute '60' is not understood"),
        ("0 24 * * *", "hour '24' is not understood"),
        ("0 0 0 * *", "day of month '0' is not understood"),
        ("0 0 32 * *", "day of month '32' is not understood"),
        ("0 0 * 13 *", "month '13' is not understood, expected 1-12 or jan-dec"),
        ("0 0 * * 8", "weekday '8' is not understood"),
        ("0 0 * * monday", "weekday 'monday' is not understood"),
        ("60 * * * * *", "second '60' is not understood"),
        ("*/0 * * * *", "minute '\\*/0' is not understood"),
        ("1-5/0 * * * *", "minute '1-5/0' is not understood"),
        ("0 0 * * 1-5/00", "weekday '1-5/00' is not understood"),
        ("0 0 * * 1/0", "weekday '1/0' is not understood"),
        ("-1 * * * *", "minute '-1' is not understood"),
        ("1.5 * * * *", "minute '1.5' is not understood"),
        ("1,,2 * * * *", "minute '1,,2' is not understood"),
        ("* ? * * *", "hour '\\?' is not understood"),
        ("0 0 * * fri#6", "weekday 'fri#6' is not understood"),
        ("0 0 5L * *", "day of month '5l' is not understood"),
        ("9" * 200 + " * * * *", "is not understood"),
        ("1-" + "9" * 200 + " * * * *", "is not understood"),
        ("*/" + "0" * 200 + " * * * *", "is not understood"),
        ("5-1 * * * *", "minute '5-1' is empty: write 5-59,0-1"),
        ("59-1 * * * *", "minute '59-1' is empty: write 59,0-1"),
        ("0 22-2 * * *", "hour '22-2' is empty: write 22-23,0-2"),
        ("0 0 28-3 * *", "day of month '28-3' is empty: write 28-31,1-3"),
        ("0 0 * nov-feb *", "month 'nov-feb' is empty: write 11-12,1-2"),
        ("0 0 * * fri-mon", "weekday 'fri-mon' is empty: write 5-6,0-1"),
        ("0 0 * * 7-2", "weekday '7-2' is empty: write 7,0-2"),
        ("R * * * *", "minute 'r' would be a time that nobody knows"),
        ("0 0 * * R(1-5)", "weekday 'r\\(1-5\\)' would be a time that nobody knows"),
        ("1,H * * * *", "minute '1,h' is not understood"),
        ("H(5-1) * * * *", "is not understood"),
        ("H(0-99) * * * *", "is not understood"),
        ("H/0 * * * *", "is not understood"),
        ("0 0 H(1-31) * *", "may be one that not every month has"),
        ("0 0 H/30 * *", "may be one that not every month has"),
        ("@reboot", "expected one of @yearly"),
        ("@every 5m", "expected one of @yearly"),
        ("@", "expected one of @yearly"),
        ("0 0 31 2 *", "there is no such day"),
        ("0 0 30,31 feb *", "there is no such day"),
        ("0 0 31 4,6,9,11 *", "there is no such day"),
        ("0 0 * 2 mon#5", "does not fire within 8 years"),
        ("0 0 * * *\0", "characters"),
        ("0 0 * * *\u3000", "characters"),
        ("0 0 * * \U0001f570", "characters"),
        ("0\u00a00 * * *", "characters"),
        ("\u0665 * * * *", "characters"),
        ("0 0 * *\n* *\x1c", "characters"),
        ("*/1," * 5000 + "* * * * *", "longer than 256 characters"),
        ("* " * 25_000, "longer than 256 characters"),
        (" " * 50_000, "longer than 256 characters"),
    ],
)
def test_t09_what_is_no_expression_is_refused(cron: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_cron(cron)

    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < MAX_LENGTH + 100


@pytest.mark.parametrize("cron", ["*/1," * 5000 + "* * * * *", "x" * 50_000, "0 0 * * *\0", "\U0001f570 * * * *"])
def test_t09_the_library_never_sees_what_could_keep_it_busy(monkeypatch: pytest.MonkeyPatch, cron: str) -> None:
    seen: list[object] = []
    monkeypatch.setattr(croniter, "expand", lambda *args, **_: seen.append(args))

    with pytest.raises(ValueError, match=r"longer than|characters"):
        parse_cron(cron)

    assert not seen


@pytest.mark.parametrize("cron", [5, None, ["0 0 * * *"], b"0 0 * * *\xff", {"cron": "@daily"}, True])
def test_t09_what_is_no_text_is_refused(cron: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Cron).validate_python(cron)


PIECES = ["*", "?", "-", "/", ",", "#", "L", "W", "H", "R", "(1-5)", "0", "5", "31", "60", "mon", "dec", "@daily", " "]


@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(PIECES), max_size=25).map("".join)))
@settings(deadline=None)
def test_t09_s20_whatever_is_written_is_taken_or_refused(cron: str) -> None:
    """And what is taken, fires, whatever the name."""
    try:
        parsed = parse_cron(cron)
    except ValueError:
        return
    assert cron_times(parsed, ZoneInfo("Europe/Berlin"), "some-name").after(START)


@pytest.mark.parametrize("read", [parse_cron, TypeAdapter(Cron).validate_python])
def test_an_expression_is_kept_as_written(read: Callable[[str], str]) -> None:
    assert read(" 0 22 * * SAT-sun ") == "0 22 * * SAT-sun"
