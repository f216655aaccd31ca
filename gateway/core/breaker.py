"""The circuit breaker of a target: consecutive failures to reach it stop all calls for a while, then one probes."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from gateway.core.duration import Duration
from gateway.core.outcome import Outcome, PermanentFailure, RetryableFailure, Succeeded
from gateway.core.retry import RETRY_AFTER_LIMIT

_PAUSING = (429, 503)


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

    @property
    def has_opened(self) -> bool:
        """Whether it has, and has not closed since; a pause that the target itself asked for is no such thing."""
        return self.pause is not None


def after(state: BreakerState, outcome: Outcome, policy: Breaker, now: datetime) -> BreakerState:
    """The state after an attempt. Outcomes that say nothing new about the target leave it as it is."""
    match outcome:
        case RetryableFailure() | PermanentFailure() if outcome.status in policy.trip_on:
            return _until_asked(_opened(_counted(state), policy.max_pause, now), outcome, now)
        case RetryableFailure(reached=False):
            return _until_asked(_after_failure(_counted(state), policy, now), outcome, now)
        case Succeeded() | RetryableFailure() | PermanentFailure() if not _is_open(state, now):
            return BreakerState()
        case _:
            return state


def _after_failure(state: BreakerState, policy: Breaker, now: datetime) -> BreakerState:
    probed = state.pause is not None
    if _is_open(state, now) or not (probed or state.failures >= policy.failures):
        return state
    pause = 2 * state.pause if state.pause else policy.pause
    return _opened(state, min(pause, policy.max_pause), now)


def _until_asked(state: BreakerState, outcome: Outcome, now: datetime) -> BreakerState:
    """Not before the target itself said that it can be called again."""
    if not isinstance(outcome, RetryableFailure) or outcome.status not in _PAUSING or not outcome.retry_after:
        return state
    return _extended(state, now + min(outcome.retry_after, RETRY_AFTER_LIMIT))


def _is_open(state: BreakerState, now: datetime) -> bool:
    """Whether calls are held back: then an outcome belongs to a call that began before, and changes nothing."""
    return state.open_until is not None and now < state.open_until


def _counted(state: BreakerState) -> BreakerState:
    return replace(state, failures=state.failures + 1)


def _opened(state: BreakerState, pause: timedelta, now: datetime) -> BreakerState:
    return _extended(replace(state, pause=pause), now + pause)


def _extended(state: BreakerState, until: datetime) -> BreakerState:
    return replace(state, open_until=max(until, state.open_until or until))
