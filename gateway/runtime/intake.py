"""Intake: the only door in. What it returns is committed; what it raises was not."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from gateway.core import strict_json
from gateway.core.errors import Invalid, NotFound, TemplateError, Unmappable
from gateway.core.event import Delivery, Event
from gateway.core.ids import new_id
from gateway.core.once import Until
from gateway.core.plan import Plan, plan, render_lane, seen_at_accept
from gateway.core.request import Decision, Priority, Request
from gateway.core.run import State
from gateway.runtime import observe, tracing
from gateway.runtime.chain import announcement
from gateway.runtime.snapshot import Current
from gateway.store.accept import Acceptance, Accepted, accept
from gateway.store.control import Cancellation, Repetition, cancel_runs, repeat_runs
from gateway.store.database import Database
from gateway.store.history import decisions_on, stored_event

IDEMPOTENCY_KEY = "Idempotency-Key"
MANUAL = "gateway.manual"
_ASKED = ("target", "payload", "key", "due_at")
Wake = Callable[[Iterable[str]], None]
"""Tells the dispatcher which targets may have something to do."""


class Intake:
    """All methods raise `Unavailable` where the database cannot commit now."""

    def __init__(self, database: Database, current: Current, wake: Wake) -> None:
        self._database = database
        self._current = current
        self._wake = wake

    async def accept(self, events: Sequence[Event], *, repeated: bool = False) -> list[Accepted]:
        """Plans events and commits them together with what follows from them.

        `repeated` says that these very events were handed in before, and whether they were committed is not known.
        """
        snapshot = self._current.snapshot
        now = self._database.now()
        acceptances = tuple(
            Acceptance(
                event, plan(event, snapshot.listeners(event.source), snapshot.lanes, now), snapshot.limits, repeated
            )
            for event in events
        )
        accepted = await self._database.commit(accept, acceptances)
        observe.accepted(acceptances, accepted, snapshot)
        tracing.accepted(acceptances, accepted, now, self._database.now())
        if targets := {request.target for acceptance in acceptances for request in acceptance.plan.requests}:
            self._wake(targets)
        return accepted

    async def replay(self, event: Event) -> Accepted:
        """Sends a stored event through the triggers of today, as a new one that no delivery is compared with."""
        again = replace(event, id=new_id(), received_at=self._database.now(), delivery=None, replay_of=event.id)
        [accepted] = await self.accept([again])
        return accepted

    async def run(
        self,
        target: str,
        *,
        payload: Any,
        key: str | None,
        due_at: datetime | None,
        by: str,
        delivery: Delivery | None = None,
    ) -> Decision:
        """Requests a target by hand. Raises `NotFound` for a target that this configuration does not know."""
        snapshot = self._current.snapshot
        if target not in snapshot.targets:
            raise NotFound(f"there is no target {target!r}")
        due = due_at and due_at.isoformat()
        data = {"target": target, "payload": payload, "key": key, "due_at": due, "requested_by": by}
        event = manual_event(target, data, self._database.now(), delivery)
        request = Request(
            target=target,
            payload=strict_json.dump(payload),
            key=key,
            until=None if key is None else Until.STARTED,
            due_at=due_at,
            priority=Priority.HIGH,
            lane=self._lane(target, event, payload),
            requested_by=by,
        )
        return await self.request(event, request)

    async def request(self, event: Event, request: Request) -> Decision:
        """Commits a request by hand, with what the triggers make of its event; returns what became of the request.

        Where its delivery was accepted before, that is what became of it then. Raises `Invalid` if that was another.
        """
        snapshot = self._current.snapshot
        listening = plan(event, snapshot.listeners(event.source), snapshot.lanes, event.received_at)
        acceptance = Acceptance(event, Plan((request, *listening.steps)), snapshot.limits)
        [accepted] = await self._database.commit(accept, (acceptance,))
        observe.accepted([acceptance], [accepted], snapshot)
        tracing.accepted([acceptance], [accepted], event.received_at, self._database.now())
        if accepted.duplicate:
            await self.refuse_another(accepted.event_id, event)
            return (await decisions_on(self._database, accepted.event_id))[0]
        self._wake({request.target for request in acceptance.plan.requests})
        return accepted.decisions[0]

    async def refuse_another(self, first_id: str, event: Event) -> None:
        """Raises `Invalid` where somebody asks for something else by the key of an earlier request."""
        first = await stored_event(self._database, first_id)
        if first is not None and _asked(first) != _asked(event):
            used = "was used for another request before; nothing was done for this one"
            raise Invalid(f"the {IDEMPOTENCY_KEY} {used}", errors={IDEMPOTENCY_KEY: used})

    def _lane(self, target: str, event: Event, payload: Any) -> str | None:
        context = seen_at_accept(event, event.received_at)
        try:
            return render_lane(self._current.snapshot.lanes.get(target), context, payload)
        except TemplateError as error:
            raise Unmappable(f"per_key.key of target {target!r}: {error}") from error

    async def retry(self, run_id: str, *, by: str) -> Decision:
        """Runs a finished run again, as a new one. Raises `NotFound`, and `Conflict` while it is not finished."""
        limits = self._current.snapshot.limits
        repetition = Repetition(run_id=run_id, requested_by=by, new_run_id=new_id(), limits=limits)
        decision = await self._database.commit(repeat_runs, repetition)
        self._wake(self._current.snapshot.targets)
        return decision

    async def cancel(self, run_id: str, *, by: str, reason: str | None) -> State:
        """Cancels a run; one in progress ends soon after. Raises `NotFound`, and `Conflict` for a finished one."""
        why = f"cancelled by {by}" + (f": {reason}" if reason else "")
        snapshot = self._current.snapshot
        cancellation = Cancellation(run_id=run_id, reason=why, limits=snapshot.limits, announcer=announcement(snapshot))
        state = await self._database.commit(cancel_runs, cancellation)
        self._wake(snapshot.targets)
        return state


def _asked(event: Event) -> tuple[Any, ...]:
    """What somebody asked for by hand, whoever and whenever it was."""
    data = event.data
    if event.type == MANUAL and isinstance(data, dict):
        data = {name: data.get(name) for name in _ASKED}
    return event.source, event.type, event.subject, event.object, event.changed, data


def manual_event(subject: str, data: dict[str, Any], now: datetime, delivery: Delivery | None) -> Event:
    """What happens when somebody asks for something by hand."""
    return Event(
        id=new_id(),
        source="api",
        type=MANUAL,
        subject=subject,
        time=now,
        received_at=now,
        data=data,
        body=strict_json.dump(data),
        delivery=delivery,
    )
