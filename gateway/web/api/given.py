"""An event by hand: what somebody says has happened."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from gateway.core import strict_json
from gateway.core.errors import NotFound
from gateway.core.event import Event
from gateway.core.ids import new_id
from gateway.sources import Source
from gateway.web.parameters import Instant, Key, Model, Name, such_as

API = "api"


class GivenEvent(Model):
    """All of it is meant literally: no template of the source is asked."""

    model_config = such_as(source="api", type="site.moved", subject="ams1", data={"site": "ams1"})

    source: Name = Field(description="A source of the configuration, or api.")
    type: Key
    subject: str | None = None
    object: Any = None
    changed: tuple[Name, ...] = ()
    data: Any
    id: Key | None = Field(None, description="The sender's: the source knows it as that of any delivery.")
    time: Instant | None = Field(None, description="Default: now.")

    def happened(self, sources: Mapping[str, Source], now: datetime) -> Event:
        """The event. Raises `NotFound` for a source that is none of these."""
        source = sources.get(self.source)
        if source is None and self.source != API:
            raise NotFound(f"there is no source {self.source!r:.200}")
        return Event(
            id=new_id(),
            source=self.source,
            type=self.type,
            subject=self.subject,
            object=self.object,
            changed=self.changed,
            time=self.time or now,
            received_at=now,
            data=self.data,
            body=strict_json.dump(self.data),
            sender_id=self.id,
            delivery=source.settings.dedup.delivery(source.name, self.id) if source and self.id else None,
        )
