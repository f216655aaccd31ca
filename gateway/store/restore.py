"""Events again as triggers saw them, from what is stored; their delivery keys are left out."""

from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import Connection, Select, bindparam, select

from gateway.core.event import Cause, Event
from gateway.store.bulk import select_rows
from gateway.store.details import object_of
from gateway.store.schema import events

_BY_ID = select(events).where(events.c.id.in_(bindparam("wanted", expanding=True)))


def restore_event(connection: Connection, event_id: str) -> Event | None:
    """The event with that id, if it is still there."""
    found = restore_events(connection, select(events).where(events.c.id == event_id))
    return found[0] if found else None


def restore_events(connection: Connection, wanted: Select[Any]) -> list[Event]:
    """The events of a statement, in its order, each with the first one of its chain, if that is still there."""
    found = [_restored(row) for row in connection.execute(wanted)]
    origins = {event.cause.origin_event_id for event in found if event.cause}
    firsts = {row.id: _restored(row) for row in select_rows(connection, _BY_ID, origins)}
    return [replace(event, origin=firsts.get(event.cause.origin_event_id)) if event.cause else event for event in found]


def _restored(row: Any) -> Event:
    details, data = orjson.loads(row.details), orjson.loads(row.body)
    names = ("id", "sender_id", "source", "type", "subject", "time", "received_at", "body")
    return Event(
        **{name: getattr(row, name) for name in names},
        data=data,
        object=object_of(details, data),
        changed=tuple(details["changed"]),
        headers=details["headers"],
        cause=details["cause"] and Cause(**details["cause"]),
        rejection=details.get("rejection"),
        replay_of=details.get("replay_of"),
    )
