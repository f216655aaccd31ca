"""What becomes of a run after an attempt: pure, from the run, the outcome and the policy."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gateway.core.outcome import BrokenOff, Cancelled, Lost, Outcome, PermanentFailure, RetryableFailure, Succeeded
from gateway.core.retry import Retry, pause
from gateway.core.run import Move

MAX_LOSSES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What a run has behind it: failures that count, losses, its first call, how long it was due in vain since."""

    failures: int
    losses: int
    started_at: datetime
    waited: timedelta = timedelta(0)
    """For a pause or window to end, its target to be reachable, or a free slot."""
    cancelling: bool = False
    following: bool = False
    """Whether it keeps the handle of a job at the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The move a run makes, and what is written with it; `due_at` where it is tried again."""

    move: Move
    failures: int
    losses: int
    due_at: datetime | None = None
    reason: str | None = None
    output: Any = None


def settle(  # noqa: PLR0911 - one return for each thing that can have happened
    run: Tried, outcome: Outcome, policy: Retry, now: datetime, rand: Callable[[], float], *, repeat_lost: bool = True
) -> Settlement:
    """Decides what an outcome means for a run.

    A success wins over a cancellation that came too late; a job that goes on has still to be cancelled. `rand` gives
    numbers in [0, 1). With `repeat_lost=False` a lost run fails at once (`on_lost: fail`).
    """
    match outcome:
        case Succeeded():
            return _settlement(run, Move.SUCCEED, outcome, output=outcome.output)
        case Cancelled():
            return _settlement(run, Move.CANCEL, outcome)
        case BrokenOff() | Lost() if run.cancelling and run.following and run.losses + 1 < MAX_LOSSES:
            return _settlement(run, Move.RETRY, outcome, due_at=now, losses=run.losses + isinstance(outcome, Lost))
        case _ if run.cancelling:
            return _settlement(run, Move.CANCEL, Cancelled())
        case PermanentFailure():
            return _settlement(run, Move.FAIL, outcome, failures=run.failures + 1)
        case RetryableFailure():
            return _after_failure(run, outcome, policy, now, rand)
        case BrokenOff():
            return _settlement(run, Move.RETRY, outcome, due_at=now)
        case Lost():
            return _after_loss(run, outcome, now, repeat_lost=repeat_lost)
        case _:
            raise TypeError(f"unknown outcome {outcome!r}")


def _after_failure(
    run: Tried, outcome: RetryableFailure, policy: Retry, now: datetime, rand: Callable[[], float]
) -> Settlement:
    failures = run.failures + 1
    if failures >= policy.attempts:
        return _settlement(run, Move.FAIL, outcome, failures=failures, note=f"gave up after {failures} attempts")
    due_at = now + pause(policy, failures, outcome.retry_after, rand)
    if due_at > run.started_at + run.waited + policy.max_elapsed:
        return _settlement(run, Move.FAIL, outcome, failures=failures, note="gave up: max_elapsed is over")
    return _settlement(run, Move.RETRY, outcome, failures=failures, due_at=due_at)


def _after_loss(run: Tried, outcome: Lost, now: datetime, *, repeat_lost: bool) -> Settlement:
    losses = run.losses + 1
    if not repeat_lost:
        return _settlement(run, Move.FAIL, outcome, losses=losses, note="and on_lost says fail")
    if losses >= MAX_LOSSES:
        return _settlement(run, Move.FAIL, outcome, losses=losses, note=f"gave up after {losses} losses")
    return _settlement(run, Move.RETRY, outcome, losses=losses, due_at=now)


def _settlement(
    run: Tried,
    move: Move,
    outcome: Outcome,
    *,
    failures: int | None = None,
    losses: int | None = None,
    due_at: datetime | None = None,
    output: Any = None,
    note: str | None = None,
) -> Settlement:
    return Settlement(
        move=move,
        failures=run.failures if failures is None else failures,
        losses=run.losses if losses is None else losses,
        due_at=due_at,
        output=output,
        reason="; ".join(part for part in (outcome.reason, note) if part) or None,
    )
