"""Local time: what the clocks of a zone do to the times that were meant."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.cron import cron_times
from gateway.core.local_time import Transition, parse_zone, repetition, to_instant, to_local
from gateway.core.times import latest
from tests.core.due import due, utc

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)

TABLE = [
    # Berlin, forward from 02:00 to 03:00.
    ("Europe/Berlin", "30 2 * * *", "2026-03-28T00:00+01:00", "2026-03-31T00:00+02:00",
     ["2026-03-28T02:30+01:00", "2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]),
    ("Europe/Berlin", "30 2 29 3 *", "2026-01-01T00:00+01:00", "2026-12-31T00:00+01:00", ["2026-03-29T03:00+02:00"]),
    ("Europe/Berlin", "*/20 2 * * *", "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00", ["2026-03-29T03:00+02:00"]),
    ("Europe/Berlin", "30 0 2 * * *", "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00", ["2026-03-29T03:00+02:00"]),
    ("Europe/Berlin", "0,30 2,3 * * *", "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00",
     ["2026-03-29T03:00+02:00", "2026-03-29T03:30+02:00"]),
    ("Europe/Berlin", "30 */2 * * *", "2026-03-29T00:00+01:00", "2026-03-29T05:00+02:00",
     ["2026-03-29T00:30+01:00", "2026-03-29T03:00+02:00", "2026-03-29T04:30+02:00"]),
    ("Europe/Berlin", "30 * * * *", "2026-03-29T00:00+01:00", "2026-03-29T04:00+02:00",
     ["2026-03-29T00:30+01:00", "2026-03-29T01:30+01:00", "2026-03-29T03:30+02:00"]),
    ("Europe/Berlin", "0 * * * *", "2026-03-29T00:30+01:00", "2026-03-29T04:30+02:00",
     ["2026-03-29T01:00+01:00", "2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"]),
    # Berlin, back from 03:00 to 02:00.
    ("Europe/Berlin", "30 2 * * *", "2026-10-24T00:00+02:00", "2026-10-27T00:00+01:00",
     ["2026-10-24T02:30+02:00", "2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
    ("Europe/Berlin", "*/30 2 * * *", "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00",
     ["2026-10-25T02:00+02:00", "2026-10-25T02:30+02:00", "2026-10-25T02:00+01:00", "2026-10-25T02:30+01:00"]),
    ("Europe/Berlin", "30 * * * *", "2026-10-25T01:00+02:00", "2026-10-25T04:00+01:00",
     ["2026-10-25T01:30+02:00", "2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00", "2026-10-25T03:30+01:00"]),
    ("Europe/Berlin", "30 */2 * * *", "2026-10-25T00:00+02:00", "2026-10-25T05:00+01:00",
     ["2026-10-25T00:30+02:00", "2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00", "2026-10-25T04:30+01:00"]),
    ("Europe/Berlin", "0 2,3 * * *", "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00",
     ["2026-10-25T02:00+02:00", "2026-10-25T03:00+01:00"]),
    ("Europe/Berlin", "0 0-23 * * *", "2026-10-25T01:30+02:00", "2026-10-25T04:30+01:00",
     ["2026-10-25T02:00+02:00", "2026-10-25T03:00+01:00", "2026-10-25T04:00+01:00"]),
    # New York.
    ("America/New_York", "30 2 * * *", "2026-03-08T00:00-05:00", "2026-03-09T12:00-04:00",
     ["2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00"]),
    ("America/New_York", "30 1 * * *", "2026-11-01T00:00-04:00", "2026-11-02T12:00-05:00",
     ["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"]),
    ("America/New_York", "*/30 1 * * *", "2026-11-01T00:00-04:00", "2026-11-02T00:00-05:00",
     ["2026-11-01T01:00-04:00", "2026-11-01T01:30-04:00", "2026-11-01T01:00-05:00", "2026-11-01T01:30-05:00"]),
    ("America/New_York", "@hourly", "2026-11-01T00:30-04:00", "2026-11-01T03:30-05:00",
     ["2026-11-01T01:00-04:00", "2026-11-01T01:00-05:00", "2026-11-01T02:00-05:00", "2026-11-01T03:00-05:00"]),
    # São Paulo, where midnight was missing, and 23:00 came twice.
    ("America/Sao_Paulo", "@daily", "2018-11-02T12:00-03:00", "2018-11-05T12:00-02:00",
     ["2018-11-03T00:00-03:00", "2018-11-04T01:00-02:00", "2018-11-05T00:00-02:00"]),
    ("America/Sao_Paulo", "30 0 4 11 *", "2018-11-01T00:00-03:00", "2018-11-30T00:00-02:00",
     ["2018-11-04T01:00-02:00"]),
    ("America/Sao_Paulo", "15 * * * *", "2018-11-03T23:00-03:00", "2018-11-04T02:00-02:00",
     ["2018-11-03T23:15-03:00", "2018-11-04T01:15-02:00"]),
    ("America/Sao_Paulo", "@daily", "2018-02-16T12:00-02:00", "2018-02-19T12:00-03:00",
     ["2018-02-17T00:00-02:00", "2018-02-18T00:00-03:00", "2018-02-19T00:00-03:00"]),
    ("America/Sao_Paulo", "30 23 * * *", "2018-02-17T12:00-02:00", "2018-02-18T23:45-03:00",
     ["2018-02-17T23:30-02:00", "2018-02-18T23:30-03:00"]),
    ("America/Sao_Paulo", "*/30 23 * * *", "2018-02-17T12:00-02:00", "2018-02-18T12:00-03:00",
     ["2018-02-17T23:00-02:00", "2018-02-17T23:30-02:00", "2018-02-17T23:00-03:00", "2018-02-17T23:30-03:00"]),
    # Lord Howe, by half an hour.
    ("Australia/Lord_Howe", "45 1 * * *", "2026-04-05T00:00+11:00", "2026-04-06T00:00+10:30",
     ["2026-04-05T01:45+11:00"]),
    ("Australia/Lord_Howe", "*/15 1 * * *", "2026-04-05T00:00+11:00", "2026-04-06T00:00+10:30",
     ["2026-04-05T01:00+11:00", "2026-04-05T01:15+11:00", "2026-04-05T01:30+11:00", "2026-04-05T01:45+11:00",
      "2026-04-05T01:30+10:30", "2026-04-05T01:45+10:30"]),
    ("Australia/Lord_Howe", "15 2 * * *", "2026-10-04T00:00+10:30", "2026-10-05T00:00+11:00",
     ["2026-10-04T02:30+11:00"]),
    ("Australia/Lord_Howe", "10 * * * *", "2026-10-04T01:00+10:30", "2026-10-04T04:00+11:00",
     ["2026-10-04T01:10+10:30", "2026-10-04T03:10+11:00"]),
    # Kathmandu, by a quarter, at midnight of a new year.
    ("Asia/Kathmandu", "5 0 * * *", "1985-12-31T00:00+05:30", "1986-01-02T12:00+05:45",
     ["1985-12-31T00:05+05:30", "1986-01-01T00:15+05:45", "1986-01-02T00:05+05:45"]),
    ("Asia/Kathmandu", "@yearly", "1985-06-01T00:00+05:30", "1986-06-01T00:00+05:45", ["1986-01-01T00:15+05:45"]),
    ("Asia/Kathmandu", "5 * * * *", "1985-12-31T23:00+05:30", "1986-01-01T02:00+05:45",
     ["1985-12-31T23:05+05:30", "1986-01-01T01:05+05:45"]),
    # Apia, which had no 30th of December, a Friday.
    ("Pacific/Apia", "0 12 * * *", "2011-12-29T00:00-10:00", "2011-12-31T18:00+14:00",
     ["2011-12-29T12:00-10:00", "2011-12-31T00:00+14:00", "2011-12-31T12:00+14:00"]),
    ("Pacific/Apia", "0 0 30 12 *", "2011-01-01T00:00-10:00", "2012-12-01T00:00+14:00", ["2011-12-31T00:00+14:00"]),
    ("Pacific/Apia", "0 12 * * fri", "2011-12-24T00:00-10:00", "2012-01-05T00:00+14:00", ["2011-12-31T00:00+14:00"]),
    ("Pacific/Apia", "0 0 * * *", "2011-12-28T12:00-10:00", "2012-01-01T12:00+14:00",
     ["2011-12-29T00:00-10:00", "2011-12-31T00:00+14:00", "2012-01-01T00:00+14:00"]),
    ("Pacific/Apia", "0 * * * *", "2011-12-29T22:30-10:00", "2011-12-31T01:30+14:00",
     ["2011-12-29T23:00-10:00", "2011-12-31T00:00+14:00", "2011-12-31T01:00+14:00"]),
    # Casablanca, back for Ramadan and forward after it; Dublin, whose summer time is the standard.
    ("Africa/Casablanca", "30 2 * * *", "2026-02-15T00:00+01:00", "2026-02-16T12:00+00:00",
     ["2026-02-15T02:30+01:00", "2026-02-16T02:30+00:00"]),
    ("Africa/Casablanca", "30 2 * * *", "2026-03-22T00:00+00:00", "2026-03-23T12:00+01:00",
     ["2026-03-22T03:00+01:00", "2026-03-23T02:30+01:00"]),
    ("Africa/Casablanca", "*/30 2 7 2 *", "2026-02-15T02:10+00:00", "2027-02-08T00:00+00:00",
     ["2027-02-07T02:00+01:00", "2027-02-07T02:30+01:00", "2027-02-07T02:00+00:00", "2027-02-07T02:30+00:00"]),
    ("Europe/Dublin", "30 1 * * *", "2026-10-25T00:00+01:00", "2026-10-26T12:00+00:00",
     ["2026-10-25T01:30+01:00", "2026-10-26T01:30+00:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "cron", "since", "until", "expected"), TABLE)
def test_t01_times_that_are_missing_or_occur_twice(
    zone: str, cron: str, since: str, until: str, expected: list[str]
) -> None:
    times, instants = cron_times(cron, ZoneInfo(zone)), [utc(text) for text in expected]

    assert due(times, utc(since), utc(until)) == instants
    assert times.count(utc(since), utc(until)) == len(instants)


@pytest.mark.parametrize(("zone", "cron", "since", "until", "expected"), TABLE)
def test_t01_from_wherever_one_starts(zone: str, cron: str, since: str, until: str, expected: list[str]) -> None:
    """Before, in and after the gap; in either of two passes; and a moment before and after each instant."""
    times, instants = cron_times(cron, ZoneInfo(zone)), [utc(text) for text in expected]
    step = max(timedelta(minutes=7, seconds=1), (instants[-1] - utc(since)) / 300)
    starts = [utc(since) + step * i for i in range((instants[-1] - utc(since)) // step)]
    edges = [instant + edge for instant in instants for edge in (-SECOND, -timedelta.resolution, timedelta.resolution)]

    for start in (start for start in starts + edges if utc(since) <= start < instants[-1]):
        following = [instant for instant in instants if instant > start]
        assert times.after(start) == following[0]
        assert times.count(start, instants[-1]) == len(following)


TRANSITIONS = [
    ("Europe/Berlin", "2026-03-29T01:00Z"), ("Europe/Berlin", "2026-10-25T01:00Z"),
    ("America/Sao_Paulo", "2018-11-04T03:00Z"), ("America/Sao_Paulo", "2018-02-18T02:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00Z"), ("Australia/Lord_Howe", "2026-10-03T15:30Z"),
    ("Asia/Kathmandu", "1985-12-31T18:30Z"), ("Pacific/Apia", "2011-12-30T10:00Z"),
    ("Africa/Casablanca", "2026-02-15T02:00Z"), ("America/St_Johns", "2010-11-07T02:31Z"), ("UTC", "2026-01-01T00:00Z"),
]  # fmt: skip
Values = tuple[str, frozenset[int]]


@st.composite
def values(draw: st.DrawFn, low: int, high: int) -> Values:
    """A field, and what it means."""
    every = st.just(("*", frozenset(range(low, high + 1))))
    return draw(st.one_of(every, listed(low, high), stepped(low, high)))


@st.composite
def listed(draw: st.DrawFn, low: int, high: int) -> Values:
    chosen = draw(st.sets(st.integers(low, high), min_size=1, max_size=4))
    return ",".join(map(str, chosen)), frozenset(chosen)


@st.composite
def stepped(draw: st.DrawFn, low: int, high: int) -> Values:
    step = draw(st.integers(2, high))  # cron's rule for days asks whether they are written as all, or all by chance
    if draw(st.booleans()):
        return f"*/{step}", frozenset(range(low, high + 1, step))
    first, last = sorted((draw(st.integers(low, high)), draw(st.integers(low, high))))
    return f"{first}-{last}/{step}", frozenset(range(first, last + 1, step))


@st.composite
def hours(draw: st.DrawFn) -> Values:
    """Rather those at which clocks are moved."""
    return draw(st.one_of(values(0, 23), listed(0, 3), st.just(("*/2", frozenset(range(0, 24, 2))))))


def oracle(
    fields: list[Values], since: datetime, until: datetime, zone: ZoneInfo, step: timedelta
) -> Iterator[datetime]:
    """The rules as they are written, instant by instant from a whole `since` on, each with a look at the clock."""
    (_, seconds), (minute, minutes), (hour, at_hours), (day, days), (_, months), (weekday, weekdays) = fields
    is_fixed, is_every_hour = "*" not in minute + hour, len(at_hours) == 24

    def is_meant(local: datetime) -> bool:
        on_day, on_weekday = local.day in days, local.isoweekday() % 7 in weekdays
        either = "*" not in (day, weekday)
        is_day = local.month in months and ((on_day or on_weekday) if either else (on_day and on_weekday))
        return is_day and local.hour in at_hours and local.minute in minutes and local.second in seconds

    before, instant = to_local(since, zone), since + step
    while instant <= until:
        local = to_local(instant, zone)
        missing = [before + step * i for i in range(1, (local - before) // step)]
        is_due = is_meant(local) and not (is_fixed and local.fold)
        if is_due or (not is_every_hour and any(map(is_meant, missing))):
            yield instant
        before, instant = local, instant + step


def check(fields: list[Values], zone: ZoneInfo, since: datetime, until: datetime, step: timedelta) -> None:
    text = " ".join(text for text, _ in (fields if step == SECOND else fields[1:]))
    try:
        times = cron_times(text, zone)
    except ValueError:  # no such day
        return
    expected = list(oracle(fields, since, until, zone, step))

    assert due(times, since, until) == expected
    assert times.count(since, until) == len(expected)
    assert latest(times, since, until) == (expected[-1] if expected else None)
    middle = since + (until - since) / 3
    rest = [instant for instant in expected if instant > middle]
    assert times.count(middle, until) == len(rest)
    assert due(times, middle, until) == rest


@given(
    st.tuples(values(0, 59), hours(), values(1, 31), values(1, 12), values(0, 6)),
    st.sampled_from(TRANSITIONS),
    st.integers(-26 * 60, 3 * 60),
    st.integers(1, 28 * 60),
)
@settings(deadline=None, max_examples=300)
def test_t02_none_is_lost_and_none_is_made_up(
    fields: tuple[Values, ...], transition: tuple[str, str], offset: int, span: int
) -> None:
    """Against the oracle, minute by minute."""
    zone, instant = transition
    since = utc(instant) + offset * MINUTE
    check([("0", frozenset({0})), *fields], ZoneInfo(zone), since, since + span * MINUTE, MINUTE)


@given(
    st.tuples(values(0, 59), values(0, 59), hours()),
    st.sampled_from(TRANSITIONS),
    st.integers(-2 * 3600, 2 * 3600),
    st.integers(1, 5000),
)
@settings(deadline=None, max_examples=60)
def test_t02_none_is_lost_and_none_is_made_up_among_seconds(
    fields: tuple[Values, ...], transition: tuple[str, str], offset: int, span: int
) -> None:
    zone, instant = transition
    days = [("*", frozenset(range(32)))] * 3
    since = utc(instant) + offset * SECOND
    check([*fields, *days], ZoneInfo(zone), since, since + span * SECOND, SECOND)


@given(
    st.sampled_from(["*/7 * * * * *", "*/20 2 * * *", "30 2 * * *", "17 */5 * * mon-fri", "0 0 L * *", "5 1 1,31 * *"]),
    st.sampled_from([zone for zone, _ in TRANSITIONS]),
    st.lists(st.datetimes(datetime(1985, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)), min_size=3, max_size=3),  # noqa: DTZ001
)
@settings(deadline=None, max_examples=60)
def test_t02_what_is_counted_in_parts_is_what_is_counted_at_once(
    cron: str, zone: str, instants: list[datetime]
) -> None:
    times, (first, middle, last) = cron_times(cron, ZoneInfo(zone)), sorted(instants)

    assert times.count(first, middle) + times.count(middle, last) == times.count(first, last)
    assert (times.count(first, middle) == 0) == ((times.after(first) or last) > middle)


def test_years_of_downtime_are_counted() -> None:
    """The hour that is missing in spring is there twice in autumn."""
    berlin = ZoneInfo("Europe/Berlin")
    year = utc("2026-01-01T00:00+01:00") - SECOND, utc("2027-01-01T00:00+01:00") - SECOND

    assert cron_times("* * * * * *", berlin).count(*year) == 365 * 86_400
    assert cron_times("30 2 * * *", berlin).count(*year) == 365
    assert cron_times("0 0 L * *", berlin).count(*year) == 12
    assert cron_times("* * * * *", berlin).count(year[1], year[0]) == 0


@given(st.sampled_from(TRANSITIONS), st.integers(-100_000, 100_000))
def test_a_time_that_is_shown_leads_back_to_its_instant(transition: tuple[str, str], offset: int) -> None:
    zone, instant = ZoneInfo(transition[0]), utc(transition[1]) + offset * SECOND

    assert to_instant(to_local(instant, zone), zone) == instant


def test_a_transition_says_from_where_to_where() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    back = repetition(datetime(2026, 10, 25, 2, 30), berlin)  # noqa: DTZ001 - local

    assert back == Transition(utc("2026-10-25T01:00Z"), datetime(2026, 10, 25, 3), datetime(2026, 10, 25, 2))  # noqa: DTZ001 - local
    assert repetition(datetime(2026, 3, 29, 2, 30), berlin) is None  # noqa: DTZ001 - local
    assert repetition(datetime(2026, 10, 25, 3), berlin) is None  # noqa: DTZ001 - local


@pytest.mark.parametrize(
    "zone", ["Mars", "", "../../etc/passwd", "Europe", "/etc/localtime", 5, None, "UTC\0", "x" * 9999]
)
def test_t09_zones_that_are_none_are_refused(zone: object) -> None:
    with pytest.raises(ValueError, match="expected a time zone"):
        parse_zone(zone)
