"""W3C trace context: one trace leads from an event to every attempt that follows from it.

Nobody hands ids on: those of traces and spans follow from events, runs and attempts, so that all nodes mean the same,
whatever was restarted meanwhile. Only what a sender gave is kept: then the trace is the sender's.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

LENGTH = 55
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_SAMPLED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A trace; `parent` is the sender's span that it goes on from, if there is one."""

    id: str
    parent: str | None = None
    sampled: bool = True

    @classmethod
    def of(cls, event_id: str, traceparent: str | None) -> Self:
        """The one that begins with an event: by what its sender gave, or else by its id."""
        if traceparent is None:
            return cls(id=event_id.replace("-", ""))
        _, trace_id, parent, flags = traceparent.split("-")
        return cls(id=trace_id, parent=parent, sampled=bool(int(flags, 16) & _SAMPLED))

    def traceparent(self, span: str) -> str:
        """What tells others that they are asked by this span."""
        return f"00-{self.id}-{span}-{int(self.sampled):02x}"


def given(traceparent: object) -> str | None:
    """What a sender gave, as it is kept; `None` for what is no trace context. Later versions may have more to say."""
    if not isinstance(traceparent, str):
        return None
    known, more = traceparent[:LENGTH], traceparent[LENGTH:]
    has_end = not more or (more.startswith("-") and not known.startswith("00"))
    return f"00{known[2:]}" if has_end and _FORM.fullmatch(known) else None


def span_id(*names: object) -> str:
    """The id of what is known by these names: the same for everybody who works it out."""
    return sha256("\0".join(map(str, names)).encode()).hexdigest()[:16]
