"""From an event to decisions and trigger requests: pure, so that explaining and doing are the same code."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from math import prod
from typing import Any, Protocol

from gateway.core import strict_json
from gateway.core.errors import TemplateError
from gateway.core.event import MAX_DEPTH, Event
from gateway.core.request import Decision, Request, Verb
from gateway.core.template import Template, Tree, clock
from gateway.core.trigger import Trigger

MAX_KEY = 500
MAX_ITEMS = 1000
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")

Lanes = Mapping[str, Template]
"""The `per_key.key` of each target that has one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """In the order of the triggers: a request where one fires, a decision where it does not."""

    steps: tuple[Decision | Request, ...]

    @property
    def requests(self) -> list[Request]:
        return [step for step in self.steps if isinstance(step, Request)]


def plan(event: Event, triggers: Iterable[tuple[str, Trigger]], lanes: Lanes, now: datetime) -> Plan:
    """What an event means to the triggers that listen to its source; one that fails does not disturb the others."""
    if event.rejection is not None:
        return Plan((refused(event.rejection),))
    context = seen_at_accept(event, now)
    return Plan(tuple(step for name, trigger in triggers for step, _ in steps(name, trigger, event, context, lanes)))


def steps(
    name: str, trigger: Trigger, event: Event, context: dict[str, Any], lanes: Lanes
) -> Iterator[tuple[Decision | Request, dict[str, Any] | None]]:
    """The steps of one trigger, each with what its templates saw; `None` where none was looked at."""
    refusal = _refusal(name, trigger, event)
    if refusal:
        yield refusal, None
        return
    try:
        items = _items(trigger, context)
    except TemplateError as error:
        yield Decision(trigger=name, decision=Verb.ERROR, reason=f"for_each: {error}"), None
        return
    if not items:
        yield Decision(trigger=name, decision=Verb.FILTERED, reason="for_each: there are no items"), None
    for item in items:
        seen = context | item
        yield _step(name, trigger, seen, lanes), seen


def _refusal(name: str, trigger: Trigger, event: Event) -> Decision | None:
    if not trigger.matches(event):
        return Decision(trigger=name, decision=Verb.FILTERED, reason=f"on: does not match type {event.type}")
    if event.cause and event.cause.trigger == name:
        return Decision(trigger=name, decision=Verb.FILTERED, reason="the event was caused by a run of this trigger")
    if event.cause and event.cause.depth > MAX_DEPTH:
        return Decision(trigger=name, decision=Verb.ERROR, reason=f"a chain of more than {MAX_DEPTH} runs")
    return None


def _items(trigger: Trigger, context: dict[str, Any]) -> list[dict[str, Any]]:
    if trigger.for_each is None:
        return [{}]
    lists = trigger.for_each.render(context)
    if not isinstance(lists, dict) or not all(isinstance(values, list | tuple) for values in lists.values()):
        raise TemplateError("expected {name: list}")
    if prod(map(len, lists.values())) > MAX_ITEMS:
        raise TemplateError(f"more than {MAX_ITEMS} items")
    return [{"item": dict(zip(lists, values, strict=True))} for values in product(*lists.values())]


def _step(name: str, trigger: Trigger, context: dict[str, Any], lanes: Lanes) -> Decision | Request:
    try:
        if trigger.when is not None and not trigger.when.holds(context):
            return Decision(trigger=name, decision=Verb.FILTERED, reason=f"when: {trigger.when.source} is false")
    except TemplateError as error:
        return Decision(trigger=name, decision=Verb.ERROR, reason=f"when: {error}")
    try:
        rendered = render(trigger, None if trigger.once is None else name, context, lanes)
    except TemplateError as error:
        return Decision(trigger=name, decision=Verb.ERROR, reason=str(error))
    request = Request(
        target=trigger.target,
        payload=rendered.payload,
        trigger=name,
        key=rendered.key,
        until=trigger.until,
        debounce=trigger.debounce,
        max_wait=trigger.max_wait,
        lane=rendered.lane,
    )
    return shadow(request) if trigger.mode == "shadow" else request


def refused(rejection: str) -> Decision:
    """What is recorded of an event that no trigger looks at."""
    return Decision(trigger=None, decision=Verb.ERROR, reason=rejection)


def shadow(request: Request) -> Decision:
    """What is recorded in place of a request that is not to be made."""
    key = "" if request.key is None else f" with key {request.key!r}"
    return Decision(trigger=request.trigger, decision=Verb.SHADOW, reason=f"would request {request.target}{key}")


def seen_at_accept(event: Event, now: datetime) -> dict[str, Any]:
    """What templates see that are rendered when an event is accepted, beside `item` and `payload`."""
    return {"event": event.context(), "now": clock(now)}


class Requesting(Protocol):
    """What asks for a target: a trigger, or a schedule."""

    @property
    def target(self) -> str | None: ...
    @property
    def payload(self) -> Tree: ...
    @property
    def key(self) -> Template | None: ...


@dataclass(frozen=True, slots=True)
class Rendered:
    """Key, payload and lane of a request."""

    key: str | None
    payload: bytes
    lane: str | None


def render(what: Requesting, default_key: str | None, context: dict[str, Any], lanes: Lanes) -> Rendered:
    """What is rendered at accept. Raises `TemplateError`, which begins with the part that failed."""
    part = "once.key"
    try:
        key = default_key if what.key is None else _name(what.key, context)
        part = "payload"
        payload = what.payload.render(context)
        body = strict_json.dump(payload)
        part = "per_key.key"
        return Rendered(key, body, render_lane(lanes.get(what.target or ""), context, payload))
    except (TemplateError, TypeError) as error:
        raise TemplateError(f"{part}: {error}") from error


def render_lane(template: Template | None, context: dict[str, Any], payload: Any) -> str | None:
    """The lane of a run: its `per_key.key`. Raises `TemplateError` where it fails or is empty."""
    return None if template is None else _name(template, context | {"payload": payload})


def _name(template: Template, context: dict[str, Any]) -> str:
    text = template.text(context)
    if not text.strip():
        raise TemplateError("is empty")
    if len(text) > MAX_KEY:
        raise TemplateError(f"is longer than {MAX_KEY} characters")
    if _UNSTORABLE.search(text):
        raise TemplateError("has a NUL or half a surrogate pair in it")
    return text
