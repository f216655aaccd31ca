"""Pauses by hand: what is stopped, by whom, why and for how long."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

NOT_PAUSED = {"paused": False, "paused_until": None, "paused_by": None, "pause_reason": None}


class Kind(StrEnum):
    """What can be paused."""

    TARGET = "target"
    TRIGGER = "trigger"
    SOURCE = "source"
    SCHEDULE = "schedule"
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True)
class Pausable:
    """What a pause stops; with a key only what is requested under it."""

    kind: Kind
    name: str = ""
    key: str = ""

    @property
    def id(self) -> str:
        """No two have the same: names have no spaces in them."""
        return f"{self.kind} {self.name} {self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Until somebody resumes it, or for so long."""

    what: Pausable
    by: str
    reason: str | None = None
    lasting: timedelta | None = None

    def until(self, now: datetime) -> datetime | None:
        """When it ends by itself, if it does."""
        return now + self.lasting if self.lasting else None

    def values(self, now: datetime) -> dict[str, Any]:
        """The columns of what it stops."""
        until = self.until(now)
        return {"paused": True, "paused_until": until, "paused_by": self.by, "pause_reason": self.reason}


def is_paused(row: Any, now: datetime) -> bool:
    """Whether a target or schedule, as it is stored, is paused at that moment."""
    return row.paused and (row.paused_until is None or now < row.paused_until)


def shown(row: Any) -> dict[str, Any]:
    """What people are told of a pause that is stored."""
    return {"by": row.paused_by, "reason": row.pause_reason, "until": row.paused_until}


def told(row: Any) -> str:
    """The same in words."""
    until = f" until {row.paused_until:%Y-%m-%dT%H:%M:%SZ}" if row.paused_until else ""
    return f"paused by {row.paused_by}{until}" + (f": {row.pause_reason}" if row.pause_reason else "")
