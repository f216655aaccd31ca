"""The breaker: what counts, when it opens, for how long, and who may close it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.breaker import Breaker, BreakerState, after
from gateway.core.outcome import BrokenOff, Cancelled, Lost, Outcome, PermanentFailure, RetryableFailure, Succeeded
from tests.core.samples import NOW

SECOND = timedelta(seconds=1)
POLICY = Breaker.model_validate({"failures": 3, "pause": "30s", "max_pause": "100s", "trip_on": [401, 403]})
UNREACHED = RetryableFailure(reached=False)
OUTCOMES = [
    Succeeded(),
    RetryableFailure(),
    UNREACHED,
    PermanentFailure(status=404),
    PermanentFailure(status=401),
    RetryableFailure(reached=False, status=429, retry_after=timedelta(minutes=9)),
    Lost(),
    BrokenOff(),
    Cancelled(),
]


def followed(*steps: tuple[float, Outcome], policy: Breaker = POLICY) -> BreakerState:
    """The state after some outcomes, each so many seconds from now."""
    state = BreakerState()
    for seconds, outcome in steps:
        state = after(state, outcome, policy, NOW + seconds * SECOND)
    return state


def opened_for(state: BreakerState, since: float = 0) -> float | None:
    return None if state.open_until is None else (state.open_until - NOW) / SECOND - since


def test_the_defaults_are_the_promised_ones() -> None:
    expected = {"failures": 5, "pause": "30s", "max_pause": "10m", "trip_on": []}

    assert Breaker().model_dump(mode="json") == expected


def test_it_opens_at_the_last_of_its_consecutive_failures() -> None:
    assert opened_for(followed((0, UNREACHED), (1, UNREACHED))) is None
    assert opened_for(followed((0, UNREACHED), (1, UNREACHED), (2, UNREACHED)), since=2) == 30


@pytest.mark.parametrize("reached", [Succeeded(), RetryableFailure(), PermanentFailure(), PermanentFailure(status=404)])
def test_an_answer_ends_the_row(reached: Outcome) -> None:
    steps = [(0, UNREACHED), (1, UNREACHED), (2, reached), (3, UNREACHED), (4, UNREACHED)]

    assert opened_for(followed(*steps)) is None
    assert followed(*steps[:3]) == BreakerState()


@pytest.mark.parametrize("silent", [Lost(), BrokenOff(), Cancelled()])
def test_what_says_nothing_about_the_target_changes_nothing(silent: Outcome) -> None:
    assert opened_for(followed((0, UNREACHED), (1, UNREACHED), (1.5, silent), (2, UNREACHED)), since=2) == 30


def test_x02_each_failed_probe_doubles_the_pause_up_to_its_maximum() -> None:
    state = followed((0, UNREACHED), (0, UNREACHED), (0, UNREACHED))
    pauses = [state.pause]
    for _ in range(4):
        assert state.open_until is not None
        state = after(state, UNREACHED, POLICY, state.open_until)
        pauses.append(state.pause)

    assert pauses == [30 * SECOND, 60 * SECOND, 100 * SECOND, 100 * SECOND, 100 * SECOND]


def test_a_probe_that_succeeds_closes_it() -> None:
    assert followed((0, UNREACHED), (0, UNREACHED), (0, UNREACHED), (30, Succeeded())) == BreakerState()


def test_failures_of_calls_that_began_before_do_not_double() -> None:
    state = followed((0, UNREACHED), (0, UNREACHED), (0, UNREACHED), (5, UNREACHED), (29, UNREACHED))

    assert (state.pause, opened_for(state)) == (30 * SECOND, 30)


def test_successes_of_calls_that_began_before_do_not_close_it() -> None:
    state = followed((0, UNREACHED), (0, UNREACHED), (0, UNREACHED), (5, Succeeded()))

    assert opened_for(state) == 30


@pytest.mark.parametrize("outcome", [PermanentFailure(status=401), RetryableFailure(status=403)])
def test_a_status_in_trip_on_opens_it_at_once_for_max_pause(outcome: Outcome) -> None:
    state = followed((0, outcome))

    assert (state.pause, opened_for(state)) == (100 * SECOND, 100)


def test_the_probe_after_a_trip_opens_it_again_though_it_is_the_second_failure() -> None:
    state = followed((0, PermanentFailure(status=401)), (100, UNREACHED))

    assert opened_for(state, since=100) == 100


def test_without_trip_on_a_401_is_an_answer() -> None:
    assert followed((0, PermanentFailure(status=401)), policy=Breaker()) == BreakerState()


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_pauses_the_whole_target_at_the_first_failure(status: int) -> None:
    outcome = RetryableFailure(reached=False, status=status, retry_after=timedelta(minutes=7))

    assert opened_for(followed((0, outcome))) == 420


def test_retry_after_on_another_status_concerns_that_run_alone() -> None:
    outcome = RetryableFailure(reached=False, status=500, retry_after=timedelta(minutes=7))

    assert opened_for(followed((0, outcome))) is None


def test_retry_after_pauses_for_an_hour_at_most() -> None:
    outcome = RetryableFailure(reached=False, status=503, retry_after=timedelta(days=2))

    assert opened_for(followed((0, outcome))) == 3600


def test_the_success_of_a_parallel_call_does_not_cut_a_retry_after() -> None:
    outcome = RetryableFailure(reached=False, status=429, retry_after=timedelta(minutes=7))

    assert opened_for(followed((0, outcome), (1, Succeeded()))) == 420


def test_nothing_shortens_the_time_that_the_target_asked_for() -> None:
    outcome = RetryableFailure(reached=False, status=503, retry_after=timedelta(minutes=7))

    assert opened_for(followed((0, outcome), (1, PermanentFailure(status=401)))) == 420


def test_retry_after_in_a_trip_counts_where_it_is_longer() -> None:
    policy = POLICY.model_copy(update={"trip_on": (429,)})
    outcome = RetryableFailure(reached=False, status=429, retry_after=timedelta(minutes=7))

    assert opened_for(followed((0, outcome), policy=policy)) == 420


steps = st.lists(st.tuples(st.floats(0, 300), st.sampled_from(OUTCOMES)), max_size=30)


@given(steps)
def test_while_it_is_open_its_end_never_comes_closer(steps: list[tuple[float, Outcome]]) -> None:
    state, now = BreakerState(), NOW
    for seconds, outcome in steps:
        now += seconds * SECOND
        before, state = state, after(state, outcome, POLICY, now)
        if before.open_until is not None and now < before.open_until:
            assert state.open_until is not None
            assert state.open_until >= before.open_until


@given(steps)
def test_no_pause_exceeds_max_pause_and_no_opening_an_hour(steps: list[tuple[float, Outcome]]) -> None:
    state, now = BreakerState(), NOW
    for seconds, outcome in steps:
        now += seconds * SECOND
        state = after(state, outcome, POLICY, now)
        assert state.pause is None or state.pause <= POLICY.max_pause
        assert state.open_until is None or state.open_until <= now + timedelta(hours=1)
