"""Which deliveries were accepted before. A delivery key means *accepted*, never *done*."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import bindparam, select, update

from gateway.core.event import Delivery, Event
from gateway.core.request import Decision, Verb
from gateway.store.bulk import select_pairs
from gateway.store.schema import events
from gateway.store.writer import Work

DeliveryKey = tuple[str, str]
"""Scope and sender's id."""

MAX_PLAIN_ID = 200

_BY_KEY = select(
    events.c.delivery_scope, events.c.delivery_id, events.c.id, events.c.delivery_until, events.c.decisions
).where(
    events.c.delivery_scope.in_(bindparam("firsts", expanding=True)),
    events.c.delivery_id.in_(bindparam("seconds", expanding=True)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The event that holds a delivery key, and until when."""

    event_id: str
    until: datetime
    decisions: bytes


def delivery_key(delivery: Delivery) -> DeliveryKey:
    """What is stored for a delivery; an id too long for an index is stored as its hash."""
    if len(delivery.id) <= MAX_PLAIN_ID:
        return delivery.scope, delivery.id
    return delivery.scope, "sha256:" + hashlib.sha256(delivery.id.encode()).hexdigest()


def delivered(work: Work, arrived: Iterable[Event]) -> dict[DeliveryKey, Delivered]:
    """Who holds the delivery keys of these events; holds that are over are let go on the way."""
    wanted = {delivery_key(event.delivery) for event in arrived if event.delivery}
    rows = select_pairs(work.connection, _BY_KEY, wanted)
    held = {(row[0], row[1]): Delivered(event_id=row[2], until=row[3], decisions=row[4]) for row in rows}
    over = {key: holder for key, holder in held.items() if holder.until <= work.now}
    _let_go(work, [holder.event_id for holder in over.values()])
    return {key: holder for key, holder in held.items() if key not in over}


def _let_go(work: Work, event_ids: list[str]) -> None:
    if event_ids:
        unheld = {"delivery_scope": None, "delivery_id": None, "delivery_until": None}
        work.connection.execute(update(events).where(events.c.id.in_(event_ids)).values(unheld))


def committed_before(work: Work, event_ids: list[str]) -> dict[str, bytes]:
    """After a commit of unknown fate: which of these very events are stored, with their decisions."""
    if not event_ids:
        return {}
    rows = work.connection.execute(select(events.c.id, events.c.decisions).where(events.c.id.in_(event_ids)))
    return {row.id: row.decisions for row in rows}


def count_redeliveries(work: Work, event_ids: list[str]) -> None:
    """Counts a redelivery on the event that was accepted first."""
    if event_ids:
        counted = update(events).where(events.c.id == bindparam("event")).values(deliveries=events.c.deliveries + 1)
        work.connection.execute(counted, [{"event": event_id} for event_id in sorted(event_ids)])


def store_decisions(decisions: Iterable[Decision]) -> bytes:
    return orjson.dumps([_shown(decision) for decision in decisions])


def stored_decisions(raw: bytes) -> tuple[Decision, ...]:
    return tuple(Decision(**{**row, "decision": Verb(row["decision"])}) for row in orjson.loads(raw))


def _shown(decision: Decision) -> dict[str, Any]:
    return {
        "trigger": decision.trigger,
        "decision": decision.decision,
        "reason": decision.reason,
        "run_id": decision.run_id,
    }
