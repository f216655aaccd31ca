"""Sets of instants: intervals, unions, intersections, and the last of them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.cron import cron_times
from gateway.core.times import (
    MAX_COUNT,
    MAX_LEAPS,
    NEVER,
    AllTimes,
    AnyTimes,
    AtTimes,
    Between,
    IntervalTimes,
    Times,
    all_of,
    latest,
)
from tests.core.due import due, utc

START = utc("2026-01-01T00:00Z")
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)

small = st.integers(1, 30).map(lambda seconds: seconds * SECOND)
near = st.integers(-100, 100).map(lambda seconds: START + seconds * SECOND)
intervals = st.builds(IntervalTimes, small, near)
ats = st.builds(AtTimes, near)
leaves = st.one_of(intervals, ats)


def every(text: str, anchor: datetime = START) -> IntervalTimes:
    return IntervalTimes({"s": 1, "m": 60, "h": 3600}[text[-1]] * int(text[:-1]) * SECOND, anchor)


def cron(text: str, zone: str = "UTC") -> Times:
    return cron_times(text, ZoneInfo(zone))


def is_due(times: Times, instant: datetime) -> bool:
    return times.after(instant - timedelta.resolution) == instant


@dataclass
class Asked:
    """Counts how often it is asked."""

    times: Times
    instants: list[datetime] = field(default_factory=list)

    def after(self, instant: datetime) -> datetime | None:
        self.instants.append(instant)
        return self.times.after(instant)

    def count(self, since: datetime, until: datetime) -> int:
        return self.times.count(since, until)


def test_an_interval_does_not_drift() -> None:
    """Seven seconds, a hundred years on: to the microsecond."""
    instant = START + timedelta(microseconds=3)
    later = instant + 450_000_000 * 7 * SECOND

    assert every("7s", instant).after(later - timedelta.resolution) == later
    assert every("7s", instant).after(later) == later + 7 * SECOND
    assert every("7s", instant).count(instant, later) == 450_000_000


def test_an_interval_has_been_before_its_anchor_too() -> None:
    assert every("1h").after(START - timedelta(minutes=61)) == START - timedelta(minutes=60)
    assert every("1h").after(START - MINUTE) == START


def test_an_interval_ends_where_time_does() -> None:
    assert IntervalTimes(timedelta(days=36_500), START).after(datetime(9998, 1, 1, tzinfo=UTC)) is None


def test_an_instant_comes_once() -> None:
    assert AtTimes(START).after(START - SECOND) == START
    assert AtTimes(START).after(START) is None
    assert (AtTimes(START).count(START - SECOND, START), AtTimes(START).count(START, START + SECOND)) == (1, 0)


@given(st.lists(leaves, max_size=4), near, small)
def test_t02_a_union_is_due_when_one_of_them_is(members: list[Times], since: datetime, span: timedelta) -> None:
    times, until = AnyTimes(tuple(members)), since + span
    seconds = [since + i * SECOND for i in range(1, span // SECOND + 1)]
    expected = [instant for instant in seconds if any(is_due(member, instant) for member in members)]

    assert due(times, since, until) == expected
    assert times.count(since, until) == len(expected)
    assert latest(times, since, until) == (expected[-1] if expected else None)


@given(st.lists(leaves, min_size=1, max_size=4), near, small)
def test_t02_an_intersection_is_due_when_all_of_them_are(
    members: list[Times], since: datetime, span: timedelta
) -> None:
    times, until = all_of(members), since + 10 * span
    seconds = [since + i * SECOND for i in range(1, 10 * span // SECOND + 1)]
    expected = [instant for instant in seconds if all(is_due(member, instant) for member in members)]

    assert due(times, since, until) == expected
    assert times.count(since, until) == len(expected)


@given(st.lists(intervals, min_size=2, max_size=3), near)
def test_t02_leaping_and_reckoning_come_to_the_same(members: list[IntervalTimes], since: datetime) -> None:
    """What arithmetic says about intervals is what going through them says."""
    assert all_of(members).after(since) == AllTimes(tuple(members)).after(since)


@pytest.mark.parametrize(
    ("members", "since", "expected"),
    [
        ([cron("0 9 * * *"), cron("* * * * mon")], "2026-01-01T00:00Z", "2026-01-05T09:00Z"),
        ([every("7m"), cron("0 3 * * *")], "2026-01-01T00:00Z", "2026-01-07T03:00Z"),
        ([every("6h"), every("10h"), cron("0 * 2 * *")], "2026-01-01T00:00Z", "2026-01-02T06:00Z"),
        ([cron("0 0 29 2 *"), cron("@daily")], "2026-01-01T00:00Z", "2028-02-29T00:00Z"),
        ([cron("0 1 * * *", "Europe/Berlin"), cron("0 0 * * *")], "2026-05-01T00:00Z", "2026-10-26T00:00Z"),
        ([AtTimes(utc("2026-02-02T09:00Z")), cron("0 9 * * mon")], "2026-01-01T00:00Z", "2026-02-02T09:00Z"),
        ([AnyTimes((cron("0 5 * * *"), cron("0 6 * * *"))), cron("0 */6 * * *")], "2026-01-01T00:00Z",
         "2026-01-01T06:00Z"),
    ],
)  # fmt: skip
def test_members_meet(members: list[Times], since: str, expected: str) -> None:
    assert all_of(members).after(utc(since)) == utc(expected)


@pytest.mark.parametrize(
    "members",
    [
        [every("2s"), every("2s", START + SECOND)],
        [every("6h"), every("4h", START + 3600 * SECOND)],
        [AtTimes(START), AtTimes(START + SECOND)],
        [AtTimes(START), every("2s", START + SECOND)],
        [cron("0 0 * * *"), cron("30 0 * * *")],
        [cron("*/2 * * * *"), cron("1-59/2 * * * *")],
        [cron("0 0 29 2 *"), cron("0 0 1 * *")],
        [every("1s", START + timedelta(microseconds=1)), cron("* * * * * *")],
        [cron("@daily"), NEVER],
    ],
)  # fmt: skip
def test_members_that_never_meet_are_found_out(members: list[Times]) -> None:
    assert all_of(members).after(START) is None


def test_intervals_that_meet_less_often_than_time_lasts_still_meet() -> None:
    """Three primes of microseconds, 10^30 of them until they meet again."""
    sizes = (86_400_000_019, 86_400_000_029, 86_400_000_071)
    for later in (0, 5):
        anchors = [(size, START + later * timedelta(microseconds=size)) for size in sizes]
        members = [IntervalTimes(timedelta(microseconds=size), anchor) for size, anchor in anchors]

        assert all_of(members).after(START - SECOND) == START
        assert all_of(members).after(START) is None


def test_members_that_never_meet_are_asked_so_often_and_no_more() -> None:
    members = Asked(cron("*/2 * * * * *")), Asked(cron("1-59/2 * * * * *"))

    assert all_of(members).after(START) is None
    assert sum(len(member.instants) for member in members) <= MAX_LEAPS


def test_a_union_among_the_members_leaps_with_all_of_its_own() -> None:
    leaves = [Asked(cron(f"{2 * i}-59/38 * * * * *")) for i in range(19)]

    assert all_of((AnyTimes(tuple(leaves)), cron("1-59/2 * * * * *"))).after(START) is None
    assert sum(len(leaf.instants) for leaf in leaves) <= MAX_LEAPS


def test_members_are_not_followed_beyond_eight_years() -> None:
    yearly, leap = Asked(cron("@yearly")), Asked(cron("0 12 29 2 *"))

    assert all_of((yearly, leap)).after(START) is None
    assert max(yearly.instants + leap.instants) < START + 9 * 366 * DAY


def test_what_is_due_too_often_to_count_is_at_least_so_much() -> None:
    assert AnyTimes((every("1s"),)).count(START, START + 2 * MAX_COUNT * SECOND) == MAX_COUNT


@given(leaves, near, near, near, near)
def test_t02_between_two_instants(
    times: Times, start: datetime, end: datetime, since: datetime, until: datetime
) -> None:
    """From the one on, up to before the other."""
    within = Between(times, start, end)
    expected = [instant for instant in due(times, since, until) if start <= instant < end]

    assert due(within, since, until) == expected
    assert within.count(since, until) == len(expected)
    assert due(Between(times), since, until) == due(times, since, until)


@given(st.one_of(leaves, st.sampled_from([cron("*/7 * * * * *"), cron("0 0 L * *", "Europe/Berlin")])), near, near)
@settings(deadline=None)
def test_t02_the_latest_is_the_last_that_is_due(times: Times, since: datetime, until: datetime) -> None:
    assert latest(times, since, until) == max(due(times, since, until), default=None)


def test_the_latest_of_years_is_found_by_few_questions() -> None:
    asked = Asked(cron("*/5 * * * * *"))

    assert latest(asked, START, START + 8 * 366 * DAY) == START + 8 * 366 * DAY
    assert len(asked.instants) <= 50


def test_instants_of_a_union_only_grow() -> None:
    times = AnyTimes((cron("30 2 * * *", "Europe/Berlin"), cron("*/30 2 * * *", "Europe/Berlin"), every("45m")))
    instants = due(times, utc("2026-10-24T12:00Z"), utc("2026-10-26T12:00Z"))

    assert all(before < after for before, after in pairwise(instants))
    assert times.count(utc("2026-10-24T12:00Z"), utc("2026-10-26T12:00Z")) == len(instants)
