"""Rejections at the door: counted in memory, and told from time to time, so that whoever is refused causes no work."""

import asyncio
from dataclasses import replace

import structlog

from gateway.core.alert import Alarm, Kind, Subject, What
from gateway.core.errors import Rejected, Unavailable
from gateway.runtime.chain import announcement
from gateway.runtime.snapshot import Current
from gateway.store.database import Database
from gateway.store.raising import Sighting, raise_alarms

log = structlog.get_logger(__name__)

TELL_EVERY = 2.0
_MISTAKEN = frozenset({400, 401, 413, 415, 422})
"""The statuses that say that a sender and this configuration do not fit together."""


class Rejections:
    """What this node has rejected since it told the last time."""

    def __init__(self, database: Database, current: Current) -> None:
        self._database = database
        self._current = current
        self._noted: dict[str, tuple[Alarm, str]] = {}

    def note(self, source: str, rejection: Rejected) -> None:
        """One request to a source has been rejected."""
        if rejection.status not in _MISTAKEN:
            return
        now = self._database.now()
        alarm = Alarm(what=What.SOURCE_REJECTING, subject=Subject(kind=Kind.SOURCE, name=source), since=now, latest=now)
        if before := self._noted.get(source):
            alarm = replace(before[0], latest=now, times=before[0].times + 1)
        self._noted[source] = alarm, rejection.detail

    async def run(self) -> None:
        """Tells for ever."""
        while True:
            await asyncio.sleep(TELL_EVERY)
            await self.tell()

    async def tell(self) -> None:
        """Once, what has been noted; what the database cannot take now is not told."""
        noted, self._noted = self._noted, {}
        announcer = announcement(self._current.snapshot)
        if announcer is None:
            return
        for alarm, reason in noted.values():
            try:
                await self._database.commit(raise_alarms, Sighting(alarm=alarm, reason=reason, announcer=announcer))
            except Unavailable as error:
                log.warning("rejections.not_told", source=alarm.subject.name, reason=error.detail)
