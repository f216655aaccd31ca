"""What happens to runs and targets, as events of source `gateway`: triggers listen to them as to any other."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from gateway.core import strict_json
from gateway.core.alert import Alarm, Alerts, Kind, Notice, Subject, What
from gateway.core.event import Cause, Event
from gateway.core.ids import new_id
from gateway.core.plan import Plan, plan
from gateway.core.trigger import ENDS, GATEWAY, RUN_ENDED
from gateway.runtime.alerts import Told, request
from gateway.runtime.snapshot import Snapshot
from gateway.store.accept import Acceptance
from gateway.store.announce import End, EndedRun, TargetTurned, Turn

LOG_TAIL = 4000
_RAISED = {
    What.STALE: "gateway.target.stale",
    What.SOURCE_REJECTING: "gateway.source.rejecting",
    What.TRIGGER_ERROR: "gateway.trigger.error",
}


def announcement(snapshot: Snapshot) -> "Announcement | None":
    """What makes events of it; `None` where nothing listens, so that nothing is stored."""
    return Announcement(snapshot) if snapshot.listeners(GATEWAY) or snapshot.alerts else None


class Announcement:
    """The `Announcer` of a configuration."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._listeners = snapshot.listeners(GATEWAY)

    def alerts_on(self, run: EndedRun) -> Alerts:
        alerts = self._snapshot.alerts.items()
        return {name: alert for name, alert in alerts if alert.concerns(run.target, run.schedule)}

    def alerts_about(self, subject: Subject) -> Alerts:
        trigger = self._snapshot.triggers.get(subject.name) if subject.kind is Kind.TRIGGER else None
        requested = trigger.target if trigger else None
        target = subject.name if subject.kind is Kind.TARGET else requested
        schedule = subject.name if subject.kind is Kind.SCHEDULE else None
        return {name: alert for name, alert in self._snapshot.alerts.items() if alert.concerns(target, schedule)}

    def run_ended(self, end: End, first: Callable[[], Event | None]) -> Acceptance | None:
        has_ended = end.state in ENDS
        if not (end.notices or (self._listeners and has_ended)):
            return None
        run, type_ = end.run, f"{RUN_ENDED}{end.state}" if has_ended else "gateway.target.unreachable"
        told = Told(
            name=run.trigger or run.schedule or run.target,
            key=run.key,
            reason=_sound(end.reason),
            log_tail=_sound(end.log[-LOG_TAIL:]),
            run_id=run.id,
        )
        data = {
            "run": {name: getattr(run, name) for name in ("id", "target", "trigger", "schedule", "key", "attempt")},
            **{name: getattr(run, name) for name in ("target", "trigger", "schedule", "key")},
            "state": end.state,
            "payload": orjson.loads(run.payload),
            "output": end.output,
            "reason": told.reason,
            "log_tail": told.log_tail,
        }
        event = _event(type_, run.target, data, end.ended_at, run)
        return self._acceptance(event, end.notices, told, first)

    def target_turned(self, turned: TargetTurned, first: Callable[[], Event | None]) -> Acceptance | None:
        told = Told(name=turned.target, reason=_sound(turned.reason), run_id=turned.cause.id if turned.cause else None)
        data = {"target": turned.target, "by": turned.by, "reason": told.reason, "until": turned.until}
        event = _event(f"gateway.target.{turned.turn}", turned.target, data, turned.at, turned.cause)
        return self._acceptance(event, self._notices_of(turned), told, first)

    def _notices_of(self, turned: TargetTurned) -> list[Notice]:
        if turned.turn is not Turn.PAUSED:
            return []
        alerts = self.alerts_about(Subject(kind=Kind.TARGET, name=turned.target))
        return [Notice(alert=name, what=What.PAUSED) for name, alert in alerts.items() if What.PAUSED in alert.on]

    def alarm_raised(
        self, alarm: Alarm, reason: str | None, notices: Sequence[Notice], now: datetime
    ) -> Acceptance | None:
        subject = alarm.subject
        told = Told(name=subject.name, reason=_sound(reason))
        facts = {"times": alarm.times, "since": alarm.since, "latest": alarm.latest, "reason": told.reason}
        event = _event(_RAISED[alarm.what], subject.name, {subject.kind.value: subject.name, **facts}, now)
        return self._acceptance(event, notices, told, lambda: None)

    def _acceptance(
        self, event: Event, notices: Sequence[Notice], told: Told, first: Callable[[], Event | None]
    ) -> Acceptance | None:
        snapshot = self._snapshot
        matching = tuple(pair for pair in self._listeners if pair[1].matches(event))
        if not (matching or notices):
            return None
        event = replace(event, origin=first())
        planned = plan(event, matching, snapshot.lanes, event.time)
        asked = (request(snapshot, notice, told, event) for notice in notices)
        return Acceptance(event, Plan((*planned.steps, *asked)), snapshot.limits)


def _event(type_: str, subject: str, data: dict[str, Any], now: datetime, cause: EndedRun | None = None) -> Event:
    body = strict_json.dump(data)
    return Event(
        id=new_id(),
        source=GATEWAY,
        type=type_,
        subject=subject,
        time=now,
        received_at=now,
        data=orjson.loads(body),
        body=body,
        cause=_cause(cause) if cause else None,
        traceparent=cause.traceparent if cause else None,
    )


def _cause(run: EndedRun) -> Cause:
    origin = run.origin_event_id or run.event_id or run.id
    return Cause(run_id=run.id, trigger=run.trigger, origin_event_id=origin, depth=run.depth + 1)


def _sound(text: str | None) -> Any:
    """A text as JSON takes it: half a character becomes a question mark."""
    return text and text.encode(errors="replace").decode()
