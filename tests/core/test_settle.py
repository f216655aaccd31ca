"""What becomes of a run: every outcome, against everything a run can have behind it."""

from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.outcome import BrokenOff, Cancelled, Lost, Outcome, PermanentFailure, RetryableFailure, Succeeded
from gateway.core.retry import Retry
from gateway.core.run import FINAL, Move, State, after
from gateway.core.settle import MAX_LOSSES, Settlement, Tried, settle
from tests.core.samples import NOW

OUTCOMES = [Succeeded(), RetryableFailure(), PermanentFailure(), Lost(), BrokenOff(), Cancelled()]
MINUTE = timedelta(minutes=1)
triers = st.builds(
    Tried,
    failures=st.integers(0, 10),
    losses=st.integers(0, 10),
    started_at=st.datetimes(NOW.replace(tzinfo=None) - timedelta(days=1), NOW.replace(tzinfo=None)).map(
        lambda time: time.replace(tzinfo=NOW.tzinfo)
    ),
    cancelling=st.booleans(),
    following=st.booleans(),
)


def tried(failures: int = 0, losses: int = 0, *, ago: timedelta = MINUTE, **parts: Any) -> Tried:
    return Tried(failures=failures, losses=losses, started_at=NOW - ago, **parts)


def settled(run: Tried, outcome: Outcome, policy: Retry | None = None, **flags: Any) -> Settlement:
    return settle(run, outcome, policy or Retry(), NOW, lambda: 0.5, **flags)


@pytest.mark.parametrize(
    ("outcome", "cancelling", "move"),
    [
        (Succeeded(), False, Move.SUCCEED),
        (Succeeded(), True, Move.SUCCEED),
        (RetryableFailure(), False, Move.RETRY),
        (RetryableFailure(), True, Move.CANCEL),
        (PermanentFailure(), False, Move.FAIL),
        (PermanentFailure(), True, Move.CANCEL),
        (Lost(), False, Move.RETRY),
        (Lost(), True, Move.CANCEL),
        (BrokenOff(), False, Move.RETRY),
        (BrokenOff(), True, Move.CANCEL),
        (Cancelled(), False, Move.CANCEL),
        (Cancelled(), True, Move.CANCEL),
    ],
)
def test_each_outcome_makes_its_move(outcome: Outcome, cancelling: bool, move: Move) -> None:
    assert settled(tried(cancelling=cancelling), outcome).move is move


@pytest.mark.parametrize("outcome", [Lost(), BrokenOff()])
def test_a_job_that_goes_on_has_still_to_be_cancelled_but_not_for_ever(outcome: Outcome) -> None:
    young, old = (tried(losses=losses, cancelling=True, following=True) for losses in (0, MAX_LOSSES))

    assert settled(young, outcome).move is Move.RETRY
    assert settled(old, outcome).move is Move.CANCEL


@pytest.mark.parametrize(("state", "outcome", "cancelling"), list(product(State, OUTCOMES, [False, True])))
def test_a_settlement_is_legal_for_a_running_run_and_for_no_final_one(
    state: State, outcome: Outcome, cancelling: bool
) -> None:
    move = settled(tried(cancelling=cancelling), outcome).move

    if state is State.RUNNING:
        assert after(state, move) in FINAL | {State.RETRYING}
    elif state in FINAL:
        with pytest.raises(Exception, match="cannot"):
            after(state, move)


@given(triers, st.sampled_from(OUTCOMES), st.booleans(), st.floats(0, 1, exclude_max=True))
def test_a_run_is_due_again_exactly_if_it_is_tried_again(
    run: Tried, outcome: Outcome, repeat_lost: bool, rand: float
) -> None:
    settlement = settle(run, outcome, Retry(), NOW, lambda: rand, repeat_lost=repeat_lost)

    assert (settlement.due_at is not None) == (settlement.move is Move.RETRY)
    assert settlement.due_at is None or settlement.due_at >= NOW
    assert settlement.failures + settlement.losses <= run.failures + run.losses + 1


@given(triers, st.sampled_from(OUTCOMES), st.integers(1, 20))
def test_no_run_is_tried_for_ever(run: Tried, outcome: Outcome, attempts: int) -> None:
    settlement = settled(run, outcome, Retry(attempts=attempts))

    if settlement.move is Move.RETRY:
        assert settlement.failures < attempts or settlement.failures == run.failures
        assert settlement.losses < MAX_LOSSES or settlement.losses == run.losses


def test_a_success_keeps_its_output() -> None:
    settlement = settled(tried(1), Succeeded(output={"process": 7}))

    assert (settlement.output, settlement.reason, settlement.failures) == ({"process": 7}, None, 1)


@pytest.mark.parametrize(("failures", "move"), [(0, Move.RETRY), (3, Move.RETRY), (4, Move.FAIL), (9, Move.FAIL)])
def test_attempts_include_the_first(failures: int, move: Move) -> None:
    assert settled(tried(failures), RetryableFailure()).move is move


def test_the_last_failure_says_that_it_was_the_last() -> None:
    assert settled(tried(4), RetryableFailure(reason="status 500")).reason == "status 500; gave up after 5 attempts"


def test_the_pause_follows_the_policy() -> None:
    assert settled(tried(1), RetryableFailure()).due_at == NOW + timedelta(seconds=5)


def test_x01_a_run_is_not_due_before_the_target_said() -> None:
    outcome = RetryableFailure(retry_after=timedelta(minutes=40))

    assert settled(tried(), outcome).due_at == NOW + timedelta(minutes=40)


@pytest.mark.parametrize(("hours", "move"), [(5.9, Move.RETRY), (6, Move.FAIL), (30, Move.FAIL)])
def test_max_elapsed_counts_from_the_first_call(hours: float, move: Move) -> None:
    settlement = settled(tried(1, ago=timedelta(hours=hours)), RetryableFailure())

    assert settlement.move is move
    assert move is Move.RETRY or settlement.reason == "gave up: max_elapsed is over"


def test_max_elapsed_does_not_count_pauses() -> None:
    run = tried(1, ago=timedelta(hours=30), waited=timedelta(hours=25))

    assert settled(run, RetryableFailure()).move is Move.RETRY


def test_a_retry_after_beyond_max_elapsed_is_not_waited_for() -> None:
    policy = Retry.model_validate({"max_elapsed": "30m"})

    assert settled(tried(), RetryableFailure(retry_after=timedelta(minutes=31)), policy).move is Move.FAIL


def test_a_loss_is_due_at_once_and_counts_as_no_attempt() -> None:
    settlement = settled(tried(4, 3), Lost())

    assert (settlement.move, settlement.due_at, settlement.failures, settlement.losses) == (Move.RETRY, NOW, 4, 4)


def test_l10_after_five_losses_a_run_fails_and_says_so() -> None:
    settlement = settled(tried(0, 4), Lost())

    assert settlement.move is Move.FAIL
    assert settlement.reason == "the node that ran it was lost; gave up after 5 losses"


def test_a_target_that_must_not_be_called_twice_fails_with_its_node() -> None:
    settlement = settled(tried(), Lost(), repeat_lost=False)

    assert (settlement.move, settlement.losses) == (Move.FAIL, 1)
    assert "on_lost" in (settlement.reason or "")


def test_c06_what_a_shutdown_breaks_off_is_due_at_once_and_not_counted() -> None:
    settlement = settled(tried(4, 4), BrokenOff())

    assert (settlement.move, settlement.due_at, settlement.failures, settlement.losses) == (Move.RETRY, NOW, 4, 4)


def test_a_permanent_failure_keeps_its_reason() -> None:
    settlement = settled(tried(), PermanentFailure(reason="status 404", status=404))

    assert (settlement.move, settlement.reason, settlement.failures) == (Move.FAIL, "status 404", 1)


def test_an_unknown_outcome_is_a_fault_of_ours() -> None:
    with pytest.raises(TypeError, match="unknown outcome"):
        settled(tried(), Outcome())


def test_settling_depends_on_nothing_but_its_arguments() -> None:
    later: list[datetime | None] = [settled(tried(2), RetryableFailure()).due_at for _ in range(3)]

    assert len(set(later)) == 1
