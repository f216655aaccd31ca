"""A run as a row that is still to be written: what a request makes, and what further requests make of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.core.once import Held, debounced_due
from gateway.core.request import Priority, Request
from gateway.core.run import State
from gateway.store.pauses import origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Cargo:
    """The events a request brings, oldest first, with the size of their bodies, and where their chain began.

    `source` is theirs; what is asked for by hand comes from `api`, whatever is done again.
    """

    source: str
    event_ids: tuple[str, ...]
    size: int
    origin_event_id: str | None
    depth: int = 0
    traceparent: str | None = None


def new_run(request: Request, cargo: Cargo, now: datetime, behind: str | None) -> dict[str, Any]:
    """The row that a request makes; `behind` is the run that it has to wait for."""
    return {
        "id": request.run_id,
        "state": State.QUEUED,
        "target": request.target,
        "trigger": request.trigger,
        "schedule": request.schedule,
        "key": request.key,
        "lane": request.lane,
        "payload": request.payload,
        "priority": Priority.FOLLOWING if request.following else request.priority,
        "claimable": behind is None and request.lane is None,
        "behind": behind,
        "created_at": now,
        "due_at": first_due(request, now),
        "not_before": None,
        "cancelling": False,
        "handle": request.handle,
        "following": request.following,
        "origins": origin_of(request, cargo),
        "paused": False,
        "event_id": next(iter(cargo.event_ids), None),
        "events": len(cargo.event_ids),
        "size": cargo.size,
        "origin_event_id": cargo.origin_event_id,
        "depth": cargo.depth,
        "traceparent": cargo.traceparent,
        "requested_by": request.requested_by,
        "retried_from": request.retried_from,
        "scheduled_for": request.scheduled_for,
        "missed": request.missed,
        "expires_at": request.expires_at,
        "fresh_for": request.fresh_for,
    }


def origin_of(request: Request, cargo: Cargo) -> str:
    """What a person asks for by hand is not the trigger's, even if that is what is done again."""
    return origin(None if request.requested_by else request.trigger, cargo.source)


def missed_with(run: dict[str, Any], more: int | None) -> int | None:
    """A run stands for all the ticks that the ticks of its events stand for."""
    missed: int | None = run["missed"]
    return missed if more is None else (missed or 0) + more


def lapse_only_together(run: dict[str, Any], request: Request) -> None:
    """A run that merges requests comes to nothing only where each of them would."""
    ends, spans = (run["expires_at"], request.expires_at), (run["fresh_for"], request.fresh_for)
    run["expires_at"] = None if None in ends else max(ends)
    run["fresh_for"] = None if None in spans else min(spans)


def newer_payload(request: Request, run: dict[str, Any]) -> bytes:
    """A retry by hand brings old data to a run that may have newer."""
    is_old = request.retried_from is not None and request.retried_from < run["id"]
    payload: bytes = run["payload"] if is_old else request.payload
    return payload


def first_due(request: Request, now: datetime) -> datetime:
    """When the run is due that a request makes now."""
    if request.debounce is not None:
        return debounced_due(now, request.debounce, now, request.max_wait)
    return request.due_at or now


def merged_due(request: Request, run: dict[str, Any], now: datetime) -> datetime:
    """Only a debounce moves a due time; who asks by hand does not wait for somebody else's silence."""
    due_at: datetime = run["due_at"]
    if request.priority is Priority.HIGH:
        return min(due_at, request.due_at or now)
    if request.debounce is None or run["priority"] != Priority.NORMAL:
        return due_at
    return debounced_due(now, request.debounce, run["created_at"], request.max_wait)


def as_held(run: dict[str, Any]) -> Held:
    """A run as the table looks at it."""
    return Held(
        run_id=run["id"],
        state=State(run["state"]),
        created_at=run["created_at"],
        cancelling=run["cancelling"],
        following=run["following"],
        events=run["events"],
        size=run["size"],
    )
