"""What happens to runs and targets is announced in the transaction in which it happens, where anybody listens.

The store knows what has happened, and what alarms there are; an `Announcer` makes events of it, with their plans.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, Protocol

from gateway.core.alert import Alarm, Alerts, Kind, Notice, Subject, What
from gateway.core.event import Event
from gateway.core.run import State
from gateway.store.accept import Acceptance, accept
from gateway.store.alarms import Alarms, last_success
from gateway.store.restore import restore_event
from gateway.store.writer import Work


class EndedRun(Protocol):
    """What is told of a run that is over."""

    @property
    def id(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def trigger(self) -> str | None: ...
    @property
    def schedule(self) -> str | None: ...
    @property
    def key(self) -> str | None: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def attempt(self) -> int: ...
    @property
    def event_id(self) -> str | None: ...
    @property
    def origin_event_id(self) -> str | None: ...
    @property
    def depth(self) -> int: ...
    @property
    def traceparent(self) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a run has ended, and who is to be told; `log` is that of its last attempt.

    Or only that attempt has, a probe that failed: a target out of reach lets no run come to its end.
    """

    run: EndedRun
    state: State
    ended_at: datetime
    reason: str | None
    output: Any = None
    log: str = ""
    notices: tuple[Notice, ...] = ()


class Turn(StrEnum):
    """What becomes of a target."""

    PAUSED = "paused"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTurned:
    """Whose calls are held back from now on, or not any more; `cause` is the run whose attempt did it."""

    target: str
    turn: Turn
    at: datetime
    reason: str | None
    by: str | None = None
    until: datetime | None = None
    cause: EndedRun | None = None


class Announcer(Protocol):
    """Makes events, and plans them; `None` where nobody listens. `first` finds the first event of the chain."""

    def alerts_on(self, run: EndedRun) -> Alerts:
        """The alerts that are about a run."""

    def alerts_about(self, subject: Subject) -> Alerts:
        """The alerts that are about a target, about what a trigger or schedule requests, or about a source."""

    def run_ended(self, end: End, first: Callable[[], Event | None]) -> Acceptance | None: ...
    def target_turned(self, turned: TargetTurned, first: Callable[[], Event | None]) -> Acceptance | None: ...
    def alarm_raised(
        self, alarm: Alarm, reason: str | None, notices: Sequence[Notice], now: datetime
    ) -> Acceptance | None: ...


Turning = tuple[Announcer | None, TargetTurned]


def announce(
    work: Work,
    ended: Sequence[tuple[Announcer, End]] = (),
    turned: Sequence[Turning] = (),
    out_of_reach: Collection[str] = (),
) -> frozenset[str]:
    """The targets of which something is requested then.

    `out_of_reach` are the targets whose breakers are open: then what fails there fails for all keys alike.
    """
    acceptances = [announcer.target_turned(one, _first(work, one.cause)) for announcer, one in turned if announcer]
    heard = [(announcer, end, announcer.alerts_on(end.run)) for announcer, end in ended]
    noticed = _noticed(work, [(end, alerts) for _, end, alerts in heard], out_of_reach)
    for (announcer, _, _), end in zip(heard, noticed, strict=True):
        acceptances.append(announcer.run_ended(end, _first(work, end.run)))
    made = [acceptance for acceptance in acceptances if acceptance]
    if made:
        accept(work, [(acceptance,) for acceptance in made])
    return frozenset(request.target for acceptance in made for request in acceptance.plan.requests)


def _first(work: Work, run: EndedRun | None) -> Callable[[], Event | None]:
    origin = run and run.origin_event_id
    return partial(restore_event, work.connection, origin) if origin else lambda: None


def _noticed(work: Work, ended: Sequence[tuple[End, Alerts]], out_of_reach: Collection[str]) -> list[End]:
    """The ends with what alerts are to tell about them."""
    subjects = [subject for end, alerts in ended if alerts for subject in _subjects(end.run)]
    if not subjects:
        return [end for end, _ in ended]
    noticing = _Noticing(work, Alarms.lock(work, subjects), out_of_reach)
    results = [replace(end, notices=noticing.notice(end, alerts)) for end, alerts in ended]
    noticing.alarms.write()
    return results


def _subjects(run: EndedRun) -> tuple[Subject, Subject, Subject]:
    """Whom its end is about: its key, all keys of what asked for it, and its target."""
    kind = Kind.TRIGGER if run.trigger else Kind.SCHEDULE if run.schedule else Kind.TARGET
    whole = Subject(kind=kind, name=run.trigger or run.schedule or run.target)
    return replace(whole, key=run.key or ""), whole, Subject(kind=Kind.TARGET, name=run.target)


@dataclass(frozen=True, slots=True)
class _Noticing:
    work: Work
    alarms: Alarms
    out_of_reach: Collection[str]

    def notice(self, end: End, alerts: Alerts) -> tuple[Notice, ...]:
        """Cancelled runs say nothing about what they would have done."""
        match end.state:
            case State.SUCCEEDED if alerts:
                return self._succeeded(end, alerts)
            case State.FAILED | State.RETRYING | State.SUPERSEDED if _tell_failing(alerts):
                return self._failed(end, alerts)
            case _:
                return ()

    def _failed(self, end: End, alerts: Alerts) -> tuple[Notice, ...]:
        own, whole, _ = _subjects(end.run)
        known = self.alarms.find(What.FAILING, own) or self.alarms.find(What.FAILING, whole)
        new = whole if end.run.target in self.out_of_reach else own
        sighting = Alarm(
            what=What.FAILING, subject=known.subject if known else new, since=end.ended_at, latest=end.ended_at
        )
        alarm, due = (known.seen_again(sighting) if known else sighting).tell(alerts, end.ended_at)
        self.alarms.put(alarm)
        if not due:
            return ()
        succeeded = last_success(self.work.connection, end.run.target, alarm.subject)
        return tuple(Notice(alert=name, what=alarm.what, alarm=alarm, last_success=succeeded) for name in due)

    def _succeeded(self, end: End, alerts: Alerts) -> tuple[Notice, ...]:
        """Each alert says it once, whatever is over."""
        own, whole, target = _subjects(end.run)
        places = dict.fromkeys([(What.FAILING, own), (What.FAILING, whole), (What.STALE, target)])
        over = [alarm for place in places if (alarm := self.alarms.find(*place))]
        notices: dict[str, Notice] = {}
        for alarm in over:
            self.alarms.end(alarm)
            for name in alarm.end(alerts):
                told = Notice(alert=name, what=What.RECOVERED, alarm=alarm, last_success=end.ended_at)
                notices.setdefault(name, told)
        return tuple(notices.values())


def _tell_failing(alerts: Alerts) -> bool:
    return any(What.FAILING in alert.on for alert in alerts.values())
