"""Raising alarms that are not about the end of a run: targets that are stale, sources that reject, triggers that fail.

Whoever has seen it says so, as often as he likes: the alarm's row is locked, and tells it when it is time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, select

from gateway.core.alert import Alarm, Kind, Notice, Subject, What
from gateway.core.ids import earliest_id
from gateway.core.request import Decision
from gateway.store.accept import Acceptance, accept
from gateway.store.alarms import Alarms, last_success
from gateway.store.announce import Announcer
from gateway.store.database import Database
from gateway.store.deliveries import stored_decisions
from gateway.store.schema import events, has_error, is_success, runs, targets
from gateway.store.writer import Work

MOST_ERRORS = 1000
"""Of those that are looked at; the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What has been seen to be wrong."""

    alarm: Alarm
    reason: str | None
    announcer: Announcer


@dataclass(frozen=True, slots=True, kw_only=True)
class Staleness:
    """A target that may have gone without a success for too long."""

    target: str
    stale_after: timedelta
    reason: str
    announcer: Announcer


def raise_alarms(work: Work, sightings: Sequence[Sighting]) -> list[None]:
    """Tells what is new, or is to be told again."""
    raising = _Raising(work, Alarms.lock(work, [seen.alarm.subject for seen in sightings]))
    for seen in sightings:
        raising.see(seen)
    raising.write()
    return [None for _ in sightings]


def raise_stale(work: Work, wanted: Sequence[Staleness]) -> list[None]:
    """The same for those of these targets that are stale; one without any success is so from when it was first seen."""
    subjects = [Subject(kind=Kind.TARGET, name=one.target) for one in wanted]
    raising = _Raising(work, Alarms.lock(work, subjects))
    for one, subject in zip(wanted, subjects, strict=True):
        raising.look(one, subject)
    raising.write()
    return [None for _ in wanted]


@dataclass(frozen=True, slots=True)
class _Raising:
    work: Work
    alarms: Alarms
    acceptances: list[Acceptance] = field(default_factory=list)

    def look(self, one: Staleness, subject: Subject) -> None:
        known = self.alarms.find(What.STALE, subject)
        succeeded = last_success(self.work.connection, one.target)
        since = succeeded or (known.since if known else self.work.now)
        alarm = Alarm(what=What.STALE, subject=subject, since=since, latest=self.work.now)
        if self.work.now - since > one.stale_after:
            self.see(Sighting(alarm=alarm, reason=one.reason, announcer=one.announcer), succeeded)
        elif known is None and succeeded is None:
            self.alarms.put(alarm)

    def see(self, seen: Sighting, succeeded: datetime | None = None) -> None:
        known = self.alarms.find(seen.alarm.what, seen.alarm.subject)
        alarm = known.seen_again(seen.alarm) if known else seen.alarm
        told, due = alarm.tell(seen.announcer.alerts_about(alarm.subject), self.work.now)
        if due or not alarm.raised:
            notices = [Notice(alert=name, what=alarm.what, alarm=told, last_success=succeeded) for name in due]
            acceptance = seen.announcer.alarm_raised(told, seen.reason, notices, self.work.now)
            if acceptance is None:
                return
            self.acceptances.append(acceptance)
        elif alarm.what is What.STALE:
            return  # nothing has changed
        self.alarms.put(told)

    def write(self) -> None:
        self.alarms.write()
        if self.acceptances:
            accept(self.work, [(acceptance,) for acceptance in self.acceptances])


async def stale_targets(database: Database, limits: Mapping[str, timedelta]) -> list[str]:
    """Those that have not succeeded for as long as these limits say, or never; a look that locks nothing."""
    success = select(func.max(runs.c.finished_at)).where(is_success, runs.c.target == targets.c.name)
    latest = select(targets.c.name, success.scalar_subquery()).where(targets.c.name.in_(list(limits)))
    async with database.read() as connection:
        now = database.now()
        rows = await connection.execute(latest.order_by(targets.c.name))
        return [name for name, succeeded in rows if succeeded is None or now - succeeded > limits[name]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """An event of which something was decided to be an error."""

    event_id: str
    source: str
    type: str
    received_at: datetime
    errors: tuple[Decision, ...]


MISTAKES = (
    select(*(events.c[name] for name in ("id", "source", "type", "received_at", "decisions")))
    .where(has_error, events.c.id >= bindparam("since"))
    .order_by(events.c.id.desc())
    .limit(MOST_ERRORS)
)


async def recent_mistakes(database: Database, since: datetime) -> list[Mistake]:
    """Those of events that came since, oldest first."""
    async with database.read() as connection:
        rows = (await connection.execute(MISTAKES, {"since": earliest_id(since)})).all()
    return [_mistake(row) for row in reversed(rows)]


def _mistake(row: Any) -> Mistake:
    decided = stored_decisions(row.decisions)
    return Mistake(
        event_id=row.id,
        source=row.source,
        type=row.type,
        received_at=row.received_at,
        errors=tuple(decision for decision in decided if decision.decision == "error"),
    )
