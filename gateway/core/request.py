"""A trigger request: what shall run, not yet stored. A value that the enqueue-once table decides about."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from gateway.core.ids import new_id
from gateway.core.once import Until


class Priority(IntEnum):
    """What goes first among the due runs of a target; a run whose job goes on at the target keeps its place there."""

    FOLLOWING = -1
    HIGH = 0
    NORMAL = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Target, payload, key and due time.

    `until` is `None` where there is no `once:`; then `key` does not hold anything. `lane` is the rendered `per_key.key`
    of the target. `due_at` is `None` for "now". `run_id` is the id of the run, should it make one, and `reason` why it
    was asked for, where that does not go without saying.

    Of a tick: `scheduled_for` is the instant it was due, `missed` how many before it came to nothing, from
    `missed_since` on. A run that is not started by `expires_at`, or of whose key a run started within `fresh_for` has
    succeeded, is cancelled instead.
    """

    target: str
    payload: bytes
    trigger: str | None = None
    schedule: str | None = None
    key: str | None = None
    until: Until | timedelta | None = None
    debounce: timedelta | None = None
    max_wait: timedelta | None = None
    due_at: datetime | None = None
    priority: Priority = Priority.NORMAL
    lane: str | None = None
    requested_by: str | None = None
    retried_from: str | None = None
    handle: bytes | None = None
    """Of the job that the run it was retried from has left at the target."""
    following: bool = False
    scheduled_for: datetime | None = None
    missed: int | None = None
    missed_since: datetime | None = None
    expires_at: datetime | None = None
    fresh_for: timedelta | None = None
    reason: str | None = None
    run_id: str = field(default_factory=new_id)


class Verb(StrEnum):
    """What was decided for one trigger and one event."""

    ENQUEUED = "enqueued"
    MERGED = "merged"
    DUPLICATE = "duplicate"
    FILTERED = "filtered"
    ERROR = "error"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The record of why a trigger did or did not fire; `run_id` is the run that the event went into."""

    trigger: str | None
    decision: Verb
    reason: str | None = None
    run_id: str | None = None

    @property
    def outcome(self) -> str:
        """The same in words."""
        return f"{self.decision} run {self.run_id}" if self.run_id else str(self.decision)
