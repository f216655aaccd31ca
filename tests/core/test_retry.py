"""When a failed run is tried again: full jitter below a doubling bound, and never before the target asked for."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.core.duration import MAX_DURATION
from gateway.core.retry import Retry, pause

SECOND = timedelta(seconds=1)
durations = st.timedeltas(timedelta(0), MAX_DURATION)
policies = st.builds(Retry, base=durations, max=durations)
rands = st.floats(0, 1, exclude_max=True)


def at_most(policy: Retry, failures: int) -> timedelta:
    return pause(policy, failures, None, lambda: 1.0)


def test_the_defaults_are_the_promised_ones() -> None:
    assert Retry().model_dump(mode="json") == {
        "attempts": 5,
        "base": "5s",
        "max": "5m",
        "delays": [],
        "max_elapsed": "6h",
        "on": [],
        "not_on": [],
    }


def test_the_bound_doubles_up_to_the_maximum() -> None:
    bounds = [at_most(Retry(), failures) // SECOND for failures in range(1, 9)]

    assert bounds == [5, 10, 20, 40, 80, 160, 300, 300]


@given(policies, st.integers(1, 2000))
def test_bounds_never_shrink_and_never_exceed_the_maximum(policy: Retry, failures: int) -> None:
    bound, next_bound = at_most(policy, failures), at_most(policy, failures + 1)

    assert bound <= next_bound <= policy.max


@given(policies, st.integers(1, 2000), rands)
def test_jitter_is_full_it_spans_everything_below_the_bound(policy: Retry, failures: int, rand: float) -> None:
    paused = pause(policy, failures, None, lambda: rand)

    assert timedelta(0) <= paused <= at_most(policy, failures)
    assert pause(policy, failures, None, lambda: 0.0) == timedelta(0)


@given(policies, st.integers(1, 2000), rands, durations)
def test_x01_retry_after_is_a_floor_that_max_does_not_cut(
    policy: Retry, failures: int, rand: float, asked: timedelta
) -> None:
    paused = pause(policy, failures, asked, lambda: rand)

    assert paused == max(min(asked, timedelta(hours=1)), pause(policy, failures, None, lambda: rand))


def test_x01_retry_after_counts_up_to_an_hour() -> None:
    assert pause(Retry(), 1, timedelta(days=3), lambda: 0.5) == timedelta(hours=1)
    assert pause(Retry(), 1, timedelta(minutes=59), lambda: 0.5) == timedelta(minutes=59)


def test_delays_are_exact_and_the_last_one_repeats() -> None:
    policy = Retry.model_validate({"delays": ["5s", "1m", "10m"]})

    paused = [pause(policy, failures, None, lambda: 0.1) // SECOND for failures in range(1, 6)]

    assert paused == [5, 60, 600, 600, 600]


def test_retry_after_is_a_floor_for_delays_too() -> None:
    policy = Retry.model_validate({"delays": ["5s"]})

    assert pause(policy, 1, timedelta(seconds=7), lambda: 0.0) == timedelta(seconds=7)


@pytest.mark.parametrize("keys", [{"attempts": 0}, {"attempts": 1001}, {"base": 5}, {"base": "-5s"}, {"tries": 3}])
def test_a_broken_policy_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Retry.model_validate(keys)
