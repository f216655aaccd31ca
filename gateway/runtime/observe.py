"""What this node counts of its own life, for Prometheus; what the database knows instead is read by `scrape`.

The labels are names from the configuration and words of the core, never what somebody sent: so there are only so many
series, whatever comes in.
"""

import asyncio
from collections.abc import Collection, Iterable
from itertools import product
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector, disable_created_metrics

from gateway import __version__
from gateway.core.outcome import Lost
from gateway.core.request import Verb
from gateway.core.run import State
from gateway.core.trigger import GATEWAY
from gateway.runtime.snapshot import Snapshot
from gateway.store.accept import Acceptance, Accepted
from gateway.store.settle import Attempted, Ended

M = TypeVar("M", Counter, Histogram)

OTHER = "(other)"
"""Stands for names that are not from this node's configuration; nothing can be called so."""
_OWN_SOURCES = frozenset({GATEWAY, "api"})
_COUNTED = frozenset(State) - {State.RUNNING}
_LOOK_EVERY = 0.5

disable_created_metrics()  # type: ignore[no-untyped-call] # the library's own
REGISTRY = CollectorRegistry()


class _Family(Generic[M]):
    """A metric for each value of its labels; found in a third of the time that the library takes."""

    def __init__(self, metric: M) -> None:
        self._metric: M = metric
        self._children: dict[tuple[str, ...], M] = {}

    def of(self, *labels: str) -> M:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._metric.labels(*labels)
        return child

    def keep(self, names: Collection[str]) -> None:
        """Forgets all whose first label is none of these."""
        for labels in [labels for labels in self._children if labels[0] not in names]:
            del self._children[labels]
            self._metric.remove(*labels)

    def begin(self, *values: Iterable[str]) -> None:
        """Has a metric for all values of its labels."""
        for labels in product(*values):
            self.of(*labels)


def _counter(name: str, says: str, *labels: str) -> _Family[Counter]:
    return _Family(Counter(name, says, labels, namespace="gateway", registry=REGISTRY))


ProcessCollector(namespace="gateway", registry=REGISTRY)
Info("build", "The version that runs.", namespace="gateway", registry=REGISTRY).info({"version": __version__})

_events = _counter("events", "Events that were accepted.", "source")
_decisions = _counter("decisions", "What was decided about events, once for each trigger.", "source", "decision")
_duplicates = _counter("duplicate_deliveries", "Deliveries of events that had been accepted before.", "source")
_ignored = _counter("ignored_events", "Events that their source was told to ignore.", "source")
_parked = _counter("parked_messages", "Messages that cannot be read, kept for people.", "source")
_rejected = _counter(
    "rejected_requests", "Requests to webhooks that were refused; 429 by their rate.", "source", "status"
)
_skipped = _counter("skipped_ticks", "Ticks that made no run.", "source")
_runs = _counter("runs", "Runs that were made here (queued), or were left in this state by a call.", "target", "state")
_answers = _counter("http_requests", "Requests that were answered, by the template of their path.", "route", "status")
_durations = _Family(
    Histogram(
        "attempt_duration_seconds",
        "How long calls took.",
        ["target"],
        namespace="gateway",
        registry=REGISTRY,
        buckets=(0.1, 0.5, 2, 10, 60, 300, 1800, 7200),
    )
)
_batches = Histogram(
    "commit_batch_size",
    "How many requests shared a commit.",
    namespace="gateway",
    registry=REGISTRY,
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)
_lags = Histogram(
    "event_loop_lag_seconds",
    "How much later than it should the process got to its next task.",
    namespace="gateway",
    registry=REGISTRY,
    buckets=(0.001, 0.01, 0.05, 0.1, 0.5, 1, 5),
)
_OF_SOURCES = (_events, _decisions, _duplicates, _ignored, _parked, _rejected, _skipped)
_OF_TARGETS = (_runs, _durations)


def accepted(acceptances: Iterable[Acceptance], results: Iterable[Accepted], snapshot: Snapshot) -> None:
    """Counts events, each with what became of it."""
    for acceptance, result in zip(acceptances, results, strict=True):
        source = _source(acceptance.event.source, snapshot)
        if result.duplicate:
            _duplicates.of(source).inc()
        else:
            _count_new(source, acceptance, result)


def _count_new(source: str, acceptance: Acceptance, result: Accepted) -> None:
    _events.of(source).inc()
    if acceptance.event.rejection is not None:
        _parked.of(source).inc()
    made = {decision.run_id for decision in result.decisions if decision.decision is Verb.ENQUEUED}
    for decision in result.decisions:
        _decisions.of(source, decision.decision).inc()
    for request in acceptance.plan.requests:
        if request.run_id in made:
            _runs.of(request.target, State.QUEUED).inc()


def ignored(source: str, count: int) -> None:
    """Counts events that are not kept."""
    _ignored.of(source).inc(count)


def rejected(source: str, status: int) -> None:
    """Counts a request that a source refused."""
    _rejected.of(source, str(status)).inc()


def answered(route: str, status: int) -> None:
    """Counts a request by the template of its path."""
    _answers.of(route, str(status)).inc()


def skipped(schedule: str, count: int, snapshot: Snapshot) -> None:
    """Counts ticks of a schedule that made no run."""
    if count:
        _skipped.of(_source(schedule, snapshot)).inc(count)


def settled(attempted: Attempted, ended: Ended) -> None:
    """Counts what a call did to its run; nobody knows how long one lasted that was lost."""
    run = attempted.run
    _runs.of(run.target, ended.state).inc()
    if not isinstance(attempted.outcome, Lost):
        _durations.of(run.target).observe((attempted.finished_at - run.attempt_started_at).total_seconds())


def committed(requests: int) -> None:
    """Counts a commit."""
    _batches.observe(requests)


async def watch_event_loop() -> None:
    """Measures for ever how late the event loop is."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _LOOK_EVERY
        await asyncio.sleep(_LOOK_EVERY)
        _lags.observe(max(0.0, loop.time() - due))


def follow(snapshot: Snapshot) -> None:
    """Forgets what this configuration does not know any more, and begins with what is new.

    A counter that begins with its first event does not grow by it, as Prometheus sees it.
    """
    named = {*snapshot.sources, *snapshot.schedules}
    for family in _OF_SOURCES:
        family.keep(named | _OWN_SOURCES | {OTHER})
    for of_target in _OF_TARGETS:
        of_target.keep(snapshot.targets)
    _events.begin(named)
    _decisions.begin(named, Verb)
    _runs.begin(snapshot.targets, _COUNTED)


def _source(name: str, snapshot: Snapshot) -> str:
    is_known = name in snapshot.sources or name in snapshot.schedules or name in _OWN_SOURCES
    return name if is_known else OTHER
