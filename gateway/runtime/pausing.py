"""Pausing: the door through which people stop targets, triggers, sources, single keys and everything."""

from collections.abc import Callable, Collection, Iterable
from datetime import timedelta

from gateway.core.errors import NotFound
from gateway.runtime.chain import announcement
from gateway.runtime.snapshot import Current
from gateway.store.announce import Announcer
from gateway.store.aside import give_back, has_ended_pauses
from gateway.store.database import Database
from gateway.store.pause import Kind, Pausable, Pause
from gateway.store.pauses import begin_pauses, end_pauses, list_pauses
from gateway.store.target_pauses import (
    TargetPause,
    TargetResumption,
    end_target_pauses,
    ended_target_pauses,
    pause_targets,
    resume_targets,
)


class Pausing:
    """All methods raise `Unavailable` where the database cannot commit now."""

    def __init__(self, database: Database, current: Current, wake: Callable[[Iterable[str]], None]) -> None:
        self._database = database
        self._current = current
        self._wake = wake

    async def find(self, kind: Kind, name: str) -> None:
        """Raises `NotFound` for what the configuration lacks, unless it is paused from a time when it did not."""
        if name not in self._configured(kind) and not await self._is_paused(kind, name):
            raise NotFound(f"there is no {kind} {name!r:.200}")

    async def pause(self, what: Pausable, *, by: str, reason: str | None, lasting: timedelta | None) -> None:
        """No more calls, for so long or until it is resumed."""
        pause = Pause(what=what, by=by, reason=reason, lasting=lasting)
        if _is_whole_target(what):
            await self._database.commit(pause_targets, TargetPause(pause=pause, announcer=self._announcer))
        else:
            await self._database.commit(begin_pauses, pause)

    async def resume(self, what: Pausable, *, by: str) -> None:
        """What waits may start at once; whole targets also get their breaker closed."""
        if _is_whole_target(what):
            resumption = TargetResumption(target=what.name, by=by, announcer=self._announcer)
            await self._database.commit(resume_targets, resumption)
            self._wake([what.name])
        else:
            await self._database.commit(end_pauses, what)
            await self._give_back()

    async def tidy(self) -> None:
        """Gives back the runs of pauses that have come to their end, and says of which targets that is."""
        if await has_ended_pauses(self._database):
            await self._give_back()
        for target in await ended_target_pauses(self._database):
            await self._database.commit(end_target_pauses, TargetResumption(target=target, announcer=self._announcer))

    @property
    def _announcer(self) -> Announcer | None:
        return announcement(self._current.snapshot)

    async def _give_back(self) -> None:
        """Batch by batch, between which others commit."""
        while await self._database.commit(give_back, self._current.snapshot.limits):
            self._wake(self._current.snapshot.targets)

    def _configured(self, kind: Kind) -> Collection[str]:
        snapshot = self._current.snapshot
        return {Kind.TARGET: snapshot.targets, Kind.TRIGGER: snapshot.triggers, Kind.SOURCE: snapshot.sources}[kind]

    async def _is_paused(self, kind: Kind, name: str) -> bool:
        return any((one["kind"], one["name"]) == (kind, name) for one in await list_pauses(self._database))


def _is_whole_target(what: Pausable) -> bool:
    return what.kind is Kind.TARGET and not what.key
