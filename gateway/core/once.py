"""The enqueue-once table: what a request for a held key becomes. One table, one cell per case.

A key is held by the newest run that was made for it. Requests of different triggers with the same key meet here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from gateway.core.run import State


class Until(StrEnum):
    """How long a key is held against further requests."""

    STARTED = "started"
    FINISHED = "finished"


class Holder(StrEnum):
    """What the run that holds the key is doing."""

    NONE = "none"
    WAITING = "waiting"
    RUNNING = "running"
    RETRYING = "retrying"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    ENDED = "ended"


class Hold(StrEnum):
    """What the request says, which is a column of the table; a duration is over or not."""

    STARTED = "started"
    FINISHED = "finished"
    DURATION = "duration"
    DURATION_OVER = "duration over"
    NONE = "none"


class Verdict(StrEnum):
    """What becomes of the request."""

    NEW = "new"
    MERGE = "merge"
    BEHIND = "behind"
    SUPERSEDE = "supersede"
    DUPLICATE = "duplicate"


_NEW, _MERGE, _BEHIND, _SUPERSEDE, _DUPLICATE = Verdict
_COLUMNS = tuple(Hold)
_ROWS = {
    #                    started     finished    duration    duration over  none
    Holder.NONE:        (_NEW,       _NEW,       _NEW,       _NEW,          _NEW),
    Holder.WAITING:     (_MERGE,     _MERGE,     _MERGE,     _MERGE,        _NEW),
    Holder.RUNNING:     (_BEHIND,    _DUPLICATE, _DUPLICATE, _BEHIND,       _NEW),
    Holder.RETRYING:    (_SUPERSEDE, _DUPLICATE, _DUPLICATE, _DUPLICATE,    _NEW),
    Holder.CANCELLING:  (_BEHIND,    _BEHIND,    _BEHIND,    _BEHIND,       _NEW),
    Holder.SUCCEEDED:   (_NEW,       _NEW,       _DUPLICATE, _NEW,          _NEW),
    Holder.ENDED:       (_NEW,       _NEW,       _NEW,       _NEW,          _NEW),
}  # fmt: skip
TABLE: dict[Holder, dict[Hold, Verdict]] = {
    holder: dict(zip(_COLUMNS, row, strict=True)) for holder, row in _ROWS.items()
}

MAX_EVENTS = 1000
MAX_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The run that holds a key, as far as the table asks.

    `events` and `size` (bytes of their bodies) say how much it has merged; `following` that it keeps the handle of a
    job at the target, which another run must not start again.
    """

    run_id: str
    state: State
    created_at: datetime
    cancelling: bool = False
    following: bool = False
    events: int = 1
    size: int = 0

    @property
    def holder(self) -> Holder:
        if self.state is State.RUNNING and self.cancelling:
            return Holder.CANCELLING
        return _HOLDERS[self.state]

    def has_room_for(self, events: int, size: int) -> bool:
        """Whether it can take over that much without anything being cut off."""
        return self.events + events <= MAX_EVENTS and self.size + size <= MAX_BYTES


_HOLDERS = {
    State.QUEUED: Holder.WAITING,
    State.RUNNING: Holder.RUNNING,
    State.RETRYING: Holder.RETRYING,
    State.SUCCEEDED: Holder.SUCCEEDED,
    State.FAILED: Holder.ENDED,
    State.SUPERSEDED: Holder.ENDED,
    State.CANCELLED: Holder.ENDED,
}


def decide(
    held: Held | None, until: Until | timedelta | None, now: datetime, size: int = 0, events: int = 1
) -> Verdict:
    """What becomes of a request with so many bytes and events; `until` is what its `once:` says, `None` without.

    A run that has no room left is not merged into or taken over: the request gets a run of its own behind it.
    """
    holder = held.holder if held else Holder.NONE
    verdict = TABLE[holder][_column(held, until, now)]
    if held is None or verdict not in (Verdict.MERGE, Verdict.SUPERSEDE):
        return verdict
    if not held.has_room_for(events, size) or (verdict is Verdict.SUPERSEDE and held.following):
        return Verdict.BEHIND
    return verdict


def _column(held: Held | None, until: Until | timedelta | None, now: datetime) -> Hold:
    if until is None:
        return Hold.NONE
    if isinstance(until, Until):
        return Hold(until)
    return Hold.DURATION if held and now < held.created_at + until else Hold.DURATION_OVER


def debounced_due(now: datetime, debounce: timedelta, first: datetime, max_wait: timedelta | None) -> datetime:
    """When a run is due that waits for silence: `debounce` after the last event, `max_wait` after the first at most."""
    return min(now + debounce, first + (10 * debounce if max_wait is None else max_wait))
