"""When a failed run is tried again."""

from collections.abc import Callable
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from gateway.core.duration import Duration

RETRY_AFTER_LIMIT = timedelta(hours=1)
_MAX_DOUBLINGS = 64  # by then any base has outgrown any maximum


class Retry(BaseModel):
    """How often and when a run is tried again.

    `on` and `not_on` are HTTP statuses or exit codes that are retryable, or permanent, against the kind's own rule.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempts: int = Field(5, ge=1, le=1000, description="Attempts, the first included.")
    base: Duration = Field(timedelta(seconds=5), description="Upper bound of the first pause; it doubles each time.")
    max: Duration = Field(timedelta(minutes=5), description="Upper bound of every pause.")
    delays: tuple[Duration, ...] = Field((), description="Exact pauses instead; the last one repeats.")
    max_elapsed: Duration = Field(timedelta(hours=6), description="Counted from the first call.")
    on: tuple[int, ...] = Field((), description="Statuses or exit codes to retry although permanent.")
    not_on: tuple[int, ...] = Field((), description="Statuses or exit codes not to retry although retryable.")


def pause(policy: Retry, failures: int, retry_after: timedelta | None, rand: Callable[[], float]) -> timedelta:
    """How long to wait after the given number of failures: full jitter, and never less than the target asked for.

    `retry_after` counts up to an hour, and `max` does not cut it. Source: RFC 9110, section 10.2.3, for the header;
    full jitter as in "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """
    floor = min(retry_after or timedelta(0), RETRY_AFTER_LIMIT)
    if policy.delays:
        return max(floor, policy.delays[min(failures, len(policy.delays)) - 1])
    bound = min(policy.base.total_seconds() * 2.0 ** min(failures - 1, _MAX_DOUBLINGS), policy.max.total_seconds())
    return max(floor, timedelta(seconds=bound * rand()))
