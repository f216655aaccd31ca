"""The pace of a target's calls."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.rate import Pace, RequestRate, parse_rate

NOW = datetime(2027, 1, 15, 22, tzinfo=UTC)
SECOND = timedelta(seconds=1)
RATES = st.builds(RequestRate, st.integers(1, 50), st.sampled_from([1, 60, 3600]))


def fresh(text: str) -> Pace:
    return Pace(parse_rate(text), None)


@pytest.mark.parametrize("text", ["5/s", "10/m", "100/h", "999999999/s"])
def test_a_rate_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_rate(text)) == text


@pytest.mark.parametrize("text", ["0/s", "-1/s", "1/d", "1.5/s", " 1/s", "1/s\n", "1000000000/s", "٣/s", "", None, 5])
def test_what_is_no_rate_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="expected a rate"):
        parse_rate(text)


def test_a_full_burst_and_then_one_at_a_time() -> None:
    pace = fresh("10/m")
    assert pace.allowed(NOW) == 10
    spent = pace.after(10, NOW)
    assert (spent.allowed(NOW), spent.next_call_at) == (0, NOW + 6 * SECOND)
    assert [spent.allowed(NOW + n * SECOND) for n in (5, 6, 11, 12, 60, 3600)] == [0, 1, 1, 2, 10, 10]


def test_a_slower_rate_of_the_past_binds_nobody_for_longer_than_the_new_one() -> None:
    slow = fresh("1/h").after(1, NOW)
    assert slow.allowed(NOW + 59 * 60 * SECOND) == 0
    assert Pace(parse_rate("10/m"), slow.next_call_at).after(0, NOW).next_call_at == NOW + 6 * SECOND


def test_a_clock_that_is_set_back_stops_calls_for_one_interval_at_most() -> None:
    spent = fresh("5/s").after(5, NOW)
    before = NOW - timedelta(days=1)

    assert spent.after(0, before).next_call_at == before + SECOND / 5


def test_a_rate_beyond_what_instants_tell_apart_is_no_error() -> None:
    assert fresh("999999999/s").after(3, NOW).allowed(NOW) > 10**6


@given(rate=RATES, waits=st.lists(st.integers(0, 10**8), max_size=60), greed=st.integers(1, 60))
def test_in_no_time_are_there_more_calls_than_a_burst_and_what_came_back_meanwhile(
    rate: RequestRate, waits: list[int], greed: int
) -> None:
    pace, now, made = Pace(rate, None), NOW, list[tuple[datetime, int]]()
    for wait in waits:
        now += timedelta(microseconds=wait)
        calls = min(greed, pace.allowed(now))
        pace = pace.after(calls, now)
        made.append((now, calls))

    for place, (since, _) in enumerate(made):
        assert sum(calls for _, calls in made[place:]) <= rate.requests + (now - since) // rate.interval


@given(rate=RATES, now=st.datetimes(datetime(2027, 1, 1), datetime(2028, 1, 1)))  # noqa: DTZ001 - a zone is added
def test_a_call_is_allowed_at_the_instant_that_was_told(rate: RequestRate, now: datetime) -> None:
    spent = Pace(rate, None).after(rate.requests, now.replace(tzinfo=UTC))
    assert spent.next_call_at is not None
    assert spent.allowed(spent.next_call_at) == 1
    assert spent.allowed(spent.next_call_at - timedelta.resolution) == 0
