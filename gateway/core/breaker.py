"""The circuit breaker of a target: consecutive failures to reach it stop all calls for a while, then one probes."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from gateway.core.duration import Duration
from gateway.core.outcome import Outcome, PermanentFailure, RetryableFailure, Succeeded
from gateway.core.retry import RETRY_AFTER_LIMIT


class Breaker(BaseModel):
    """When a target is left alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failures: int = Field(5, ge=1, description="Consecutive failures to reach the target that open it.")
    pause: Duration = Field(timedelta(seconds=30), description="No call for so long, then one probe; doubles.")
    max_pause: Duration = Field(timedelta(minutes=10), description="Upper bound of the doubled pause.")
    trip_on: tuple[int, ...] = Field((), description="Statuses that open it at once, to `max_pause`.")


@dataclass(frozen=True, slots=True)
class BreakerState:
    """Shared by all nodes: failures in a row, how long the present pause is and when it ends.

    It is closed while `open_until` is `None`; once that time has come, one call probes.
    """

    failures: int = 0
    pause: timedelta | None = None
    open_until: datetime | None = None


def after(state: BreakerState, outcome: Outcome, policy: Breaker, now: datetime) -> BreakerState:
    """The state after an attempt. Outcomes that say nothing about the target leave it as it is."""
    match outcome:
        case RetryableFailure() | PermanentFailure() if outcome.status in policy.trip_on:
            return _opened(replace(state, failures=state.failures + 1), policy.max_pause, now)
        case RetryableFailure(reached=False):
            return _after_failure(replace(state, failures=state.failures + 1), outcome, policy, now)
        case Succeeded() | RetryableFailure() | PermanentFailure():
            return BreakerState()
        case _:
            return state


def _after_failure(
    state: BreakerState, outcome: RetryableFailure, policy: Breaker, now: datetime
) -> BreakerState:
    began_before_it_opened = state.open_until is not None and now < state.open_until
    if state.failures >= policy.failures and not began_before_it_opened:
        doubled = 2 * state.pause if state.pause else policy.pause
        state = _opened(state, min(doubled, policy.max_pause), now)
    if outcome.retry_after:
        asked = now + min(outcome.retry_after, RETRY_AFTER_LIMIT)
        state = replace(state, open_until=max(asked, state.open_until or asked))
    return state


def _opened(state: BreakerState, pause: timedelta, now: datetime) -> BreakerState:
    return replace(state, pause=pause, open_until=now + pause)
