"""What became of one attempt: a value, before anybody acts on it."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What all outcomes carry.

    `status` is the HTTP status or exit code, where there was one.
    """

    reason: str | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeeded(Outcome):
    """The target did it; `output` is kept with the run."""

    output: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryableFailure(Outcome):
    """It did not work, and may work later, but not before `retry_after` where the target said so.

    `reached` is false where the target could not be reached or was overloaded: what its breaker counts.
    """

    retry_after: timedelta | None = None
    reached: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PermanentFailure(Outcome):
    """It did not work and will not: calling again would only repeat it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost(Outcome):
    """Its node died or lost its lease in it: nobody knows how far the call came."""

    reason: str | None = field(default="the node that ran it was lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenOff(Outcome):
    """The gateway itself ended the call in order to shut down; not the target's fault, so not counted."""

    reason: str | None = field(default="the gateway shut down")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled(Outcome):
    """The call was ended because somebody cancelled the run."""

    reason: str | None = field(default="cancelled by hand")
