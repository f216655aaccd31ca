"""Events and triggers for the tests of the core, with the least that they need."""

from datetime import UTC, datetime
from typing import Any

from gateway.core import strict_json
from gateway.core.event import Event
from gateway.core.template import clock
from gateway.core.trigger import Trigger

NOW = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)


def event(*, source: str = "netbox", type: str = "netbox.dcim.device.updated", data: Any = None, **parts: Any) -> Event:  # noqa: A002 - the event's own word
    data = {} if data is None else data
    return Event(
        id="01935b2e-0000-7000-8000-000000000001",
        source=source,
        type=type,
        time=NOW,
        received_at=NOW,
        data=data,
        body=strict_json.dump(data),
        **parts,
    )


def trigger(**keys: Any) -> Trigger:
    return Trigger.model_validate({"on": "netbox", "target": "proxbox"} | keys)


def seen(**names: Any) -> dict[str, Any]:
    """What a template sees, for tests that need no whole event."""
    return {"now": clock(NOW)} | names


DEVICE_EVENT = {
    "type": "netbox.dcim.device.created",
    "changed": ["status", "name"],
    "object": {"id": 7, "site": {"slug": "ams"}, "tags": ["a", "b"], "items": 3, "keys": 4, "get": 5, "note": None},
    "data": {"ok": True, "count": 3, "list": [3, 1, 2], "quote": '"', "devices": [{"name": "a"}, {"name": "b"}]},
    "time": NOW,
    "subject": None,
}
