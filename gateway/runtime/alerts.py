"""Alerts as trigger requests: what they tell is the payload, and why they do so is in the decision."""

from dataclasses import dataclass

from gateway.core import strict_json
from gateway.core.alert import PREFIX, Notice, What
from gateway.core.errors import TemplateError
from gateway.core.event import MAX_DEPTH, Event
from gateway.core.plan import render_lane, seen_at_accept
from gateway.core.request import Decision, Request, Verb
from gateway.runtime.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What there is to tell, whoever is told."""

    name: str
    key: str | None = None
    reason: str | None = None
    log_tail: str = ""
    run_id: str | None = None


def request(snapshot: Snapshot, notice: Notice, told: Told, event: Event) -> Request | Decision:
    """What an alert asks of its target, or why it cannot."""
    name, target = f"{PREFIX}{notice.alert}", snapshot.alerts[notice.alert].target
    if event.cause and event.cause.depth > MAX_DEPTH:
        return Decision(trigger=name, decision=Verb.ERROR, reason=f"a chain of more than {MAX_DEPTH} runs")
    payload = _payload(notice, told, snapshot.server.public_url)
    try:
        lane = render_lane(snapshot.lanes.get(target), seen_at_accept(event, event.time), payload)
    except TemplateError as error:
        return Decision(trigger=name, decision=Verb.ERROR, reason=f"per_key.key: {error}")
    return Request(target=target, payload=strict_json.dump(payload), trigger=name, lane=lane, reason=notice.why)


def _payload(notice: Notice, told: Told, public_url: str | None) -> dict[str, object]:
    alarm = notice.alarm
    is_of_runs = alarm is not None and alarm.what is What.FAILING
    return {
        "what": notice.what,
        "name": told.name,
        "key": told.key,
        "consecutive_failures": alarm.times if alarm and is_of_runs else None,
        "failing_since": alarm.since if alarm else None,
        "last_success": notice.last_success,
        "reason": told.reason,
        "log_tail": told.log_tail,
        "run_url": f"{public_url.rstrip('/')}/api/v1/runs/{told.run_id}" if public_url and told.run_id else None,
    }
