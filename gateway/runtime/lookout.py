"""The lookout: what is wrong although no run has ended. The node that leads looks, which only saves the others work."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta

import structlog

from gateway.core.alert import Alarm, Kind, Subject, What
from gateway.core.duration import format_duration
from gateway.core.errors import Unavailable
from gateway.core.request import Decision
from gateway.core.trigger import GATEWAY
from gateway.runtime.chain import Announcement, announcement
from gateway.runtime.leadership import Leadership
from gateway.runtime.snapshot import Current, Snapshot
from gateway.store.database import Database
from gateway.store.raising import (
    Mistake,
    Sighting,
    Staleness,
    raise_alarms,
    raise_stale,
    recent_mistakes,
    stale_targets,
)

log = structlog.get_logger(__name__)

LOOK_EVERY = 2.0
LATE = timedelta(minutes=5)
"""So long may an event be on its way into the database."""


class Lookout:
    """Idle until this node leads, and while nobody wants to be told anything."""

    def __init__(self, database: Database, current: Current, leadership: Leadership) -> None:
        self._database = database
        self._current = current
        self._leadership = leadership
        self._looked_at: frozenset[str] = frozenset()

    async def run(self) -> None:
        """For ever; a database that is away is waited for."""
        while True:
            leading = await self._leadership.gained()
            while self._leadership.is_current(leading):
                await self.look()
                await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Once at everything."""
        snapshot = self._current.snapshot
        announcer = announcement(snapshot)
        if announcer is None:
            return
        try:
            await self._look_for_stale_targets(snapshot, announcer)
            await self._look_for_mistakes(snapshot, announcer)
        except Unavailable as error:
            log.warning("lookout.waiting", reason=error.detail)

    async def _look_for_stale_targets(self, snapshot: Snapshot, announcer: Announcement) -> None:
        settings = {name: target.settings for name, target in snapshot.targets.items()}
        limits = {name: one.stale_after for name, one in settings.items() if one.stale_after}
        stale = await stale_targets(self._database, limits) if limits else []
        for name in stale:
            reason = f"no run has succeeded for {format_duration(limits[name])}"
            staleness = Staleness(target=name, stale_after=limits[name], reason=reason, announcer=announcer)
            await self._database.commit(raise_stale, staleness)

    async def _look_for_mistakes(self, snapshot: Snapshot, announcer: Announcement) -> None:
        mistakes = await recent_mistakes(self._database, self._database.now() - LATE)
        new = [mistake for mistake in mistakes if mistake.event_id not in self._looked_at]
        for sighting in _sightings(new, snapshot, announcer):
            await self._database.commit(raise_alarms, sighting)
        self._looked_at = frozenset(mistake.event_id for mistake in mistakes)


def _sightings(mistakes: Sequence[Mistake], snapshot: Snapshot, announcer: Announcement) -> Iterable[Sighting]:
    """One for each source, trigger and schedule, with the last reason."""
    alarms: dict[tuple[What, Subject], Sighting] = {}
    for mistake in mistakes:
        for error in mistake.errors:
            place = _place(mistake, error, snapshot)
            if place is None:
                continue
            what, subject = place
            alarm = Alarm(what=what, subject=subject, since=mistake.received_at, latest=mistake.received_at)
            before = alarms.get(place)
            alarm = before.alarm.seen_again(alarm) if before else alarm
            alarms[place] = Sighting(alarm=alarm, reason=error.reason, announcer=announcer)
    return alarms.values()


def _place(mistake: Mistake, error: Decision, snapshot: Snapshot) -> tuple[What, Subject] | None:
    """What is wrong with whom; nothing is told of mistakes in telling of mistakes."""
    if mistake.type == "gateway.trigger.error":
        return None
    if error.trigger is not None:
        return What.TRIGGER_ERROR, Subject(kind=Kind.TRIGGER, name=error.trigger)
    if mistake.source in snapshot.sources:
        return What.SOURCE_REJECTING, Subject(kind=Kind.SOURCE, name=mistake.source)
    return None if mistake.source == GATEWAY else (What.TRIGGER_ERROR, Subject(kind=Kind.SCHEDULE, name=mistake.source))
