"""Why each trigger decides as it does about an event: the plan, with what its templates saw."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.core.event import Event
from gateway.core.operands import Operand, operands
from gateway.core.plan import Lanes, refused, seen_at_accept, shadow, steps
from gateway.core.request import Decision, Request
from gateway.core.trigger import Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One step of a plan: either a `decision`, or a `request` that the enqueue-once table has still to decide about.

    A trigger in shadow mode has both: what it decides, and the request that it would make. `operands` are the parts of
    its `when` that decided whether it fires, `item` the one of `for_each`.
    """

    trigger: str | None
    decision: Decision | None = None
    request: Request | None = None
    operands: tuple[Operand, ...] = ()
    item: Any = None


def explain(event: Event, triggers: Iterable[tuple[str, Trigger]], lanes: Lanes, now: datetime) -> list[Finding]:
    """What `plan` makes of an event, in the same order."""
    if event.rejection is not None:
        return [Finding(trigger=None, decision=refused(event.rejection))]
    context = seen_at_accept(event, now)
    return [finding for name, trigger in triggers for finding in _findings(name, trigger, event, context, lanes)]


def _findings(name: str, trigger: Trigger, event: Event, context: dict[str, Any], lanes: Lanes) -> Iterator[Finding]:
    in_earnest = trigger.model_copy(update={"mode": "run"})
    for step, seen in steps(name, in_earnest, event, context, lanes):
        request = step if isinstance(step, Request) else None
        yield Finding(
            trigger=name,
            decision=_decision(step, trigger),
            request=request,
            operands=operands(trigger.when, seen) if trigger.when and seen else (),
            item=seen.get("item") if seen else None,
        )


def _decision(step: Decision | Request, trigger: Trigger) -> Decision | None:
    if isinstance(step, Decision):
        return step
    return shadow(step) if trigger.mode == "shadow" else None
