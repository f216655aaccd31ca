"""Traces: what came in, how it was accepted, and each call that followed, as spans of one trace.

A span is told of when it is over. Without anybody to tell, which takes the extra `otel`, nothing is made; the header
that targets are sent is the same all the same.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto

from gateway.core.outcome import Succeeded
from gateway.core.trace import Trace, span_id
from gateway.store.accept import Acceptance, Accepted
from gateway.store.claim import ClaimedRun
from gateway.store.settle import Attempted, Ended


class Kind(Enum):
    """On whose behalf something was done: another's, one's own, or by asking another."""

    SERVER = auto()
    INTERNAL = auto()
    CLIENT = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What was done from `began` to `ended`; `error` says why it did not work."""

    name: str
    trace: Trace
    id: str
    parent: str | None
    kind: Kind
    began: datetime
    ended: datetime
    attributes: Mapping[str, str | int | None] = field(default_factory=dict)
    error: str | None = None


Tell = Callable[[Span], None]

_tell: Tell | None = None


def tell(teller: Tell | None) -> None:
    """Has all spans from now on told to somebody, or to nobody any more."""
    global _tell  # noqa: PLW0603 - as with metrics and logs, there is one for the process
    _tell = teller


def traceparent_of(run: ClaimedRun) -> str:
    """The header by which a target knows that it is asked by this attempt."""
    return _trace_of(run).traceparent(_attempt_id(run))


def accepted(acceptances: Iterable[Acceptance], results: Iterable[Accepted], began: datetime, ended: datetime) -> None:
    """Tells of events that are new; `began` is when they were handed in."""
    if _tell:
        for acceptance, result in zip(acceptances, results, strict=True):
            if not result.duplicate:
                _tell_of_event(_tell, acceptance, result, began, ended)


def _tell_of_event(told: Tell, acceptance: Acceptance, result: Accepted, began: datetime, ended: datetime) -> None:
    event = acceptance.event
    trace = Trace.of(event.id, event.traceparent)
    received = span_id(event.id)
    told(
        Span(
            name=f"receive {event.source}",
            trace=trace,
            id=received,
            parent=trace.parent,
            kind=Kind.SERVER,
            began=event.received_at,
            ended=ended,
            attributes={"gateway.event.id": event.id, "gateway.event.type": event.type, "gateway.source": event.source},
            error=event.rejection,
        )
    )
    told(
        Span(
            name="accept",
            trace=trace,
            id=span_id(event.id, "accept"),
            parent=received,
            kind=Kind.INTERNAL,
            began=began,
            ended=ended,
            attributes={"gateway.decisions": ",".join(decision.decision for decision in result.decisions)},
        )
    )


def settled(attempted: Attempted, ended: Ended | None, at: datetime) -> None:
    """Tells of an attempt; `ended` is `None` where the run was not this node's any more."""
    if _tell is None:
        return
    run, outcome = attempted.run, attempted.outcome
    trace, attempt = _trace_of(run), _attempt_id(run)
    failure = None if isinstance(outcome, Succeeded) else outcome.reason or type(outcome).__name__
    _tell(
        Span(
            name=f"attempt {run.target}",
            trace=trace,
            id=attempt,
            parent=span_id(_first_event(run)),
            kind=Kind.CLIENT,
            began=run.attempt_started_at,
            ended=attempted.finished_at,
            attributes={
                "gateway.run.id": run.id,
                "gateway.attempt": run.attempt,
                "gateway.target": run.target,
                "gateway.trigger": run.trigger,
                "gateway.schedule": run.schedule,
                "gateway.status": outcome.status,
            },
            error=failure,
        )
    )
    _tell(
        Span(
            name="settle",
            trace=trace,
            id=span_id(run.id, run.attempt, "settle"),
            parent=attempt,
            kind=Kind.INTERNAL,
            began=attempted.finished_at,
            ended=at,
            attributes={"gateway.run.state": ended.state if ended else "not this node's any more"},
        )
    )


def _first_event(run: ClaimedRun) -> str:
    return run.origin_event_id or run.event_id or run.id


def _trace_of(run: ClaimedRun) -> Trace:
    return Trace.of(_first_event(run), run.traceparent)


def _attempt_id(run: ClaimedRun) -> str:
    return span_id(run.id, run.attempt)
