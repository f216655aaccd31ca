"""A tick: the event it is, and what follows from it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from gateway.core import strict_json
from gateway.core.breaker import Breaker
from gateway.core.errors import TemplateError
from gateway.core.event import Event
from gateway.core.ids import derived_id, new_id
from gateway.core.misfire import Tick
from gateway.core.plan import Lanes, Plan, plan, render, seen_at_accept
from gateway.core.request import Decision, Request, Verb
from gateway.core.schedule import Schedule
from gateway.core.trigger import Trigger

TICK = "gateway.tick"
_MAX_DOUBLINGS = 20


def tick_event(name: str, tick: Tick, now: datetime) -> Event:
    """The event of a tick; its id follows from schedule and instant, so that there is one however many make it."""
    data: dict[str, Any] = {"schedule": name, "scheduled_for": _text(tick.instant), "missed": tick.missed}
    return Event(
        id=derived_id(tick.instant, TICK, name) if tick.number is None else new_id(),
        source=name,
        type=TICK,
        subject=name,
        time=tick.instant,
        received_at=now,
        data=data,
        body=strict_json.dump(data),
    )


def tick_plan(
    schedule: Schedule, tick: Tick, event: Event, listeners: Iterable[tuple[str, Trigger]], lanes: Lanes
) -> Plan:
    """The request of the schedule itself, if it has a target, and those of the triggers that listen to it."""
    listening = plan(event, listeners, lanes, event.received_at)
    if schedule.target is None:
        return listening
    return Plan((_request(schedule, schedule.target, tick, event, lanes), *listening.steps))


def _request(schedule: Schedule, target: str, tick: Tick, event: Event, lanes: Lanes) -> Request | Decision:
    until = None if tick.alone else schedule.until
    context = seen_at_accept(event, event.received_at)
    try:
        rendered = render(schedule, None if schedule.until is None else event.source, context, lanes)
    except TemplateError as error:
        return Decision(trigger=None, decision=Verb.ERROR, reason=str(error))
    return Request(
        target=target,
        payload=rendered.payload,
        schedule=event.source,
        key=rendered.key,
        until=until,
        due_at=tick.instant + jitter(event.source, tick.instant, schedule.jitter),
        lane=rendered.lane,
        scheduled_for=tick.instant,
        missed=tick.missed,
        missed_since=tick.missed_since,
        expires_at=tick.instant + schedule.expires if schedule.expires else None,
        fresh_for=schedule.fresh_for,
    )


def jitter(name: str, instant: datetime, most: timedelta) -> timedelta:
    """How much later a tick starts: the same at every look, and different from one schedule to the next."""
    if not most:
        return most
    digest = sha256(f"{name}\0{instant.isoformat()}".encode()).digest()
    return most * (int.from_bytes(digest[:6]) / 2**48)


def pause_before_the_next(schedule: Schedule, failures: int, breaker: Breaker) -> timedelta:
    """Between two runs of a continuous schedule; after so many failed ones in a row, as long as a breaker pauses."""
    if not failures:
        return schedule.pause
    doublings: int = 2 ** min(failures - 1, _MAX_DOUBLINGS)
    return max(schedule.pause, min(breaker.pause * doublings, breaker.max_pause))


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
