"""Pauses by hand: of targets and schedules alike, in columns of the same names."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

NOT_PAUSED = {"paused": False, "paused_until": None, "paused_by": None, "pause_reason": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Until somebody resumes what has this name, or for so long."""

    name: str
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
