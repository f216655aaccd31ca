"""A window: a span of time that comes again and again, such as a maintenance night."""

from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.core.cron import Cron, cron_times, is_hashed
from gateway.core.duration import Duration
from gateway.core.local_time import Zone
from gateway.core.times import Times


def _refuse_hash(cron: str) -> str:
    if is_hashed(cron):
        raise ValueError("H is made from the name of a schedule, and this is none")
    return cron


class Window(BaseModel):
    """Opens at the times of a cron expression, each time for so long."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    cron: Annotated[Cron, AfterValidator(_refuse_hash)] = Field(
        description="When it opens: minute, hour, day, month, weekday."
    )
    lasts: Annotated[Duration, Field(alias="for", gt=timedelta(0), description="How long it stays open.")]
    timezone: Zone = Field(ZoneInfo("UTC"), description="In which the times of `cron` are meant.")

    def is_open(self, now: datetime) -> bool:
        return self.closes_at(now) is not None

    def closes_at(self, now: datetime) -> datetime | None:
        """When what is open at `now` (aware) closes, in UTC; `None` while it is closed.

        A window that opens again before it has closed only stays open: at the time given, ask again.
        """
        opened = self._opens.after(now - self.lasts)
        return opened + self.lasts if opened is not None and opened <= now else None

    @cached_property
    def _opens(self) -> Times:
        return cron_times(self.cron, self.timezone)
