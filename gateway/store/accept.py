"""Accept: events with their decisions, the keys they take, the runs they make or merge into; one transaction.

1. Deliveries that are held already are duplicates; nothing else happens to them.
2. The keys of the requests are locked, in order, then the runs that hold them.
3. The enqueue-once table decides, request by request; requests of one batch meet as if they had come one by one.
4. What was decided is written, a statement per kind of row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.core.event import Event
from gateway.core.plan import Plan
from gateway.core.request import Decision, Request
from gateway.store import deliveries
from gateway.store.bulk import insert_rows
from gateway.store.counts import Count, Counts, What
from gateway.store.database import notify
from gateway.store.details import stored_object
from gateway.store.enqueue import Enqueuing
from gateway.store.lanes import LaneLimits
from gateway.store.requested import Cargo
from gateway.store.schema import events
from gateway.store.writer import Work

MAX_TOLD = 10


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An event and what it means; the limits are those of the targets it requests.

    `repeated` says that this very event was handed in before, and may have been committed in spite of the answer.
    """

    event: Event
    plan: Plan
    limits: LaneLimits = field(default_factory=dict)
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What the sender is told."""

    event_id: str
    duplicate: bool = False
    decisions: tuple[Decision, ...] = ()

    @property
    def outcome(self) -> str:
        """The same in words."""
        if self.duplicate:
            return f"duplicate of event {self.event_id}"
        return "; ".join([f"event {self.event_id}", *(decision.outcome for decision in self.decisions[:MAX_TOLD])])


def accept(work: Work, batches: Sequence[tuple[Acceptance, ...]]) -> list[list[Accepted]]:
    """Each batch is what one sender handed in together, such as the items of one webhook."""
    acceptances = [acceptance for batch in batches for acceptance in batch]
    accepting = _Accepting.begin(work, acceptances)
    results = [[accepting.accept(acceptance) for acceptance in batch] for batch in batches]
    accepting.write()
    return results


@dataclass(slots=True)
class _Accepting:
    work: Work
    enqueuing: Enqueuing
    held: dict[deliveries.DeliveryKey, deliveries.Delivered]
    stored: dict[str, bytes]
    rows: list[dict[str, Any]] = field(default_factory=list)
    redelivered: list[str] = field(default_factory=list)
    targets: set[str] = field(default_factory=set)
    counts: Counts = field(default_factory=Counts)

    @classmethod
    def begin(cls, work: Work, acceptances: Sequence[Acceptance]) -> "_Accepting":
        arrived = [acceptance.event for acceptance in acceptances]
        held = deliveries.delivered(work, arrived)
        maybe_stored = [one.event.id for one in acceptances if work.repeated or one.repeated]
        stored = deliveries.committed_before(work, maybe_stored)
        enqueuing = Enqueuing(work)
        for acceptance in acceptances:
            enqueuing.limits.update(acceptance.limits)
        enqueuing.lock([request for acceptance in acceptances for request in acceptance.plan.requests])
        return cls(work, enqueuing, held, stored)

    def accept(self, acceptance: Acceptance) -> Accepted:
        event = acceptance.event
        if event.id in self.stored:
            return Accepted(event_id=event.id, decisions=deliveries.stored_decisions(self.stored[event.id]))
        key = deliveries.delivery_key(event.delivery) if event.delivery else None
        holder = self.held.get(key) if key else None
        if holder and event.delivery and event.delivery.compared:
            self.redelivered.append(holder.event_id)
            self.counts.add(Count(what=What.REDELIVERY, source=event.source))
            return Accepted(event_id=holder.event_id, duplicate=True)
        return self._accept_new(acceptance, None if holder else key)

    def _accept_new(self, acceptance: Acceptance, key: deliveries.DeliveryKey | None) -> Accepted:
        event = acceptance.event
        decisions = tuple(self._decide(step, event) for step in acceptance.plan.steps)
        self._count(acceptance, decisions)
        stored = deliveries.store_decisions(decisions)
        until = self.work.now + event.delivery.window if event.delivery and key else None
        scope, sender_id = key or (None, None)
        self.rows.append(
            {
                "id": event.id,
                "source": event.source,
                "type": event.type,
                "subject": event.subject,
                "sender_id": event.sender_id,
                "time": event.time,
                "received_at": event.received_at,
                "body": event.body,
                "details": _details(event),
                "decisions": stored,
                "verbs": " ".join(sorted({decision.decision for decision in decisions})),
                "delivery_scope": scope,
                "delivery_id": sender_id,
                "delivery_until": until,
            }
        )
        if key is not None and until is not None:
            self.held[key] = deliveries.Delivered(event_id=event.id, until=until, decisions=stored)
        return Accepted(event_id=event.id, decisions=decisions)

    def _decide(self, step: Decision | Request, event: Event) -> Decision:
        if isinstance(step, Decision):
            return step
        self.targets.add(step.target)
        return self.enqueuing.enqueue(step, cargo_of(event))

    def _count(self, acceptance: Acceptance, decisions: Sequence[Decision]) -> None:
        event = acceptance.event
        self.counts.add(Count(what=What.EVENT, source=event.source), event_id=event.id)
        for step, made in zip(acceptance.plan.steps, decisions, strict=True):
            target = step.target if isinstance(step, Request) else ""
            count = Count(what=made.decision, source=event.source, trigger=made.trigger or "", target=target)
            self.counts.add(count, event_id=event.id)

    def write(self) -> None:
        insert_rows(self.work.connection, events, self.rows)
        self.counts.write(self.work)
        self.enqueuing.write()
        deliveries.count_redeliveries(self.work, self.redelivered)
        if self.targets:
            notify(self.work.connection, orjson.dumps(sorted(self.targets)).decode())


def cargo_of(event: Event) -> Cargo:
    return Cargo(
        source=event.source,
        event_ids=(event.id,),
        size=len(event.body),
        origin_event_id=event.cause.origin_event_id if event.cause else event.id,
        depth=event.cause.depth if event.cause else 0,
        traceparent=event.traceparent,
    )


def _details(event: Event) -> bytes:
    """What is kept of an event beside its body, for templates and people, as JSON."""
    cause = event.cause
    return orjson.dumps(
        {
            **stored_object(event),
            "changed": event.changed,
            "headers": dict(event.headers),
            "rejection": event.rejection,
            "replay_of": event.replay_of,
            "cause": cause
            and {
                "run_id": cause.run_id,
                "trigger": cause.trigger,
                "origin_event_id": cause.origin_event_id,
                "depth": cause.depth,
            },
        }
    )
