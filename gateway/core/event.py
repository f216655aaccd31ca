"""An event: one thing that happened, in the form in which all triggers see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

MAX_DEPTH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What makes two deliveries the same: the sender's id within a scope, remembered for `window` from acceptance.

    One that is not `compared` is certainly new, whatever its id: it is remembered for those that come after it.
    """

    scope: str
    id: str
    window: timedelta
    compared: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """The run that an event came from, and the first event of the chain; `depth` counts the runs between them."""

    run_id: str
    trigger: str | None
    origin_event_id: str
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One occurrence, normalised.

    `body` is the JSON text that `data` was parsed from; it is what is stored and shown again, byte for byte.
    `changed` names the changed fields, `object` is the thing it is about: both as far as the source knows.
    `rejection` says why nothing comes of it: it is kept for people, and no trigger looks at it.
    `replay_of` is the id of the event that this one repeats.
    `origin` is the first event of the chain, where this one has a cause and the first is still there.
    `traceparent` is the trace context that its sender gave, or that of the chain; it is kept with runs alone.
    """

    id: str
    source: str
    type: str
    time: datetime
    received_at: datetime
    data: Any
    body: bytes
    subject: str | None = None
    sender_id: str | None = None
    object: Any = None
    changed: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    delivery: Delivery | None = None
    cause: Cause | None = None
    rejection: str | None = None
    replay_of: str | None = None
    origin: "Event | None" = None
    traceparent: str | None = None

    def context(self) -> dict[str, Any]:
        """What templates see as `event`; its `origin` is itself where no run caused it."""
        fields = self._fields()
        first = self.origin if self.cause else self
        return {**fields, "origin": first and first._fields()}

    def _fields(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "sender_id": self.sender_id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": self.time,
            "received_at": self.received_at,
            "data": self.data,
            "object": self.object,
            "changed": list(self.changed),
            "headers": dict(self.headers),
        }
