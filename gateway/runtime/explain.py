"""What an event would come to, and why: by the code that would do it, without doing any of it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import orjson
from pydantic import GetPydanticSchema
from pydantic_core.core_schema import any_schema

from gateway.core import explanation
from gateway.core.duration import format_duration
from gateway.core.errors import TemplateError
from gateway.core.event import Event
from gateway.core.explanation import Finding
from gateway.core.once import Until
from gateway.core.operands import Operand, shown
from gateway.core.request import Request, Verb
from gateway.core.template import clock
from gateway.runtime.snapshot import Snapshot
from gateway.store.database import Database
from gateway.store.forecast import Forecast, Holding, forecast
from gateway.store.requested import first_due
from gateway.targets.base import Target

Text = Annotated[orjson.Fragment, GetPydanticSchema(lambda *_: any_schema())]
"""The JSON text of any value."""
NO_RUN = "run.id"
"""What stands in a call for the id of a run that is not made."""
_EVENT_FIELDS = ("sender_id", "source", "type", "subject", "time", "object", "changed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What would be requested.

    `held_by` is the run that holds the key, with its `state`; `run_id` the run that the event would be merged into or
    is a duplicate of. `call` is the first one, with secrets masked, or else `call_error` says why there is none.
    """

    target: str
    key: str | None
    until: str | None
    payload: Text
    lane: str | None
    held_by: Holding | None
    run_id: str | None
    due_at: datetime | None
    call: Mapping[str, Any] | None
    call_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What one trigger would decide, and the parts of its `when` that it hangs on; `trigger` as in decisions."""

    trigger: str | None
    item: Any
    decision: Verb
    reason: str | None
    operands: tuple[Operand, ...]
    request: Asked | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An event, and what each trigger that listens to its source would make of it, in the order of the file."""

    event: Mapping[str, Any]
    triggers: Sequence[Explained]


async def explain(database: Database, snapshot: Snapshot, event: Event) -> Explanation:
    """As if the event came now, under this configuration. Changes nothing. Raises `Unavailable`."""
    now = database.now()
    findings = await asyncio.to_thread(_findings, snapshot, event, now)  # a large site has thousands of triggers
    in_earnest = [finding.request for finding in findings if finding.request and not finding.decision]
    foretold = await forecast(database, event, in_earnest)
    known = {request.run_id: forecast for request, forecast in zip(in_earnest, foretold, strict=True)}
    return await asyncio.to_thread(_explanation, snapshot, event, findings, known, now)


def explain_alone(snapshot: Snapshot, event: Event, now: datetime) -> Explanation:
    """As if there were no other events and runs."""
    return _explanation(snapshot, event, _findings(snapshot, event, now), {}, now)


def _findings(snapshot: Snapshot, event: Event, now: datetime) -> list[Finding]:
    return explanation.explain(event, snapshot.listeners(event.source), snapshot.lanes, now)


def _explanation(
    snapshot: Snapshot, event: Event, findings: list[Finding], known: Mapping[str, Forecast], now: datetime
) -> Explanation:
    explained = [_explained(finding, known, snapshot, event, now) for finding in findings]
    return Explanation(event={name: getattr(event, name) for name in _EVENT_FIELDS}, triggers=explained)


def _explained(
    finding: Finding, known: Mapping[str, Forecast], snapshot: Snapshot, event: Event, now: datetime
) -> Explained:
    request = finding.request
    forecast = known.get(request.run_id) if request else None
    decision = finding.decision or (forecast.decision if forecast else None)
    return Explained(
        trigger=finding.trigger,
        item=shown(finding.item),
        decision=decision.decision if decision else Verb.ENQUEUED,
        reason=decision.reason if decision else None,
        operands=finding.operands,
        request=_asked(request, forecast, event, snapshot.targets[request.target], now) if request else None,
    )


def _asked(request: Request, forecast: Forecast | None, event: Event, target: Target, now: datetime) -> Asked:
    run_id = forecast.decision.run_id if forecast and forecast.decision.decision is not Verb.ENQUEUED else None
    due_at = forecast.due_at if forecast else first_due(request, now)
    call, error = _call(target, _seen(request, event, run_id or NO_RUN, due_at or now, now))
    return Asked(
        target=request.target,
        key=request.key,
        until=_until(request),
        payload=orjson.Fragment(request.payload),
        lane=request.lane,
        held_by=forecast.held_by if forecast else None,
        run_id=run_id,
        due_at=due_at,
        call=call,
        call_error=error,
    )


def _until(request: Request) -> str | None:
    if request.until is None or isinstance(request.until, Until):
        return request.until
    return format_duration(request.until)


def _call(target: Target, seen: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str | None]:
    try:
        return target.render(seen).shown, None
    except TemplateError as error:
        return None, str(error)


def _seen(request: Request, event: Event, run_id: str, due_at: datetime, now: datetime) -> dict[str, Any]:
    """What the templates of the target would see in the first attempt of a run of this event alone."""
    happened = event.context()
    run = {
        "id": run_id,
        **{name: getattr(request, name) for name in ("target", "trigger", "schedule", "key")},
        "attempt": 1,
        "created_at": now,
        "due_at": due_at,
        "started_at": due_at,
        "events": 1,
    }
    payload = orjson.loads(request.payload)
    return {"event": happened, "events": [happened], "payload": payload, "run": run, "now": clock(now)}
