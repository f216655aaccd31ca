"""What every kind of source has in common."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from gateway.core.duration import Duration
from gateway.core.event import Delivery


class Dedup(BaseModel):
    """How long a delivery is remembered, and with whom the memory is shared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window: Duration = Field(timedelta(days=7), description="From acceptance, whatever became of the event.")
    scope: str | None = Field(
        None, max_length=100, description="Where two sources shall share one; default: the source's name."
    )

    def delivery(self, source: str, sender_id: str) -> Delivery:
        """The delivery key of what a sender sent to this source under that id."""
        return Delivery(scope=self.scope or source, id=sender_id, window=self.window)


class Settings(BaseModel):
    """The keys that sources of all kinds share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(description="What it is; a preset says so by itself.")
    dedup: Dedup = Dedup()
