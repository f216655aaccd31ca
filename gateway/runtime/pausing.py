"""Pausing: the door through which people stop targets, triggers, sources, single keys and everything."""

from collections.abc import Callable, Collection, Iterable
from datetime import timedelta

from gateway.core.errors import NotFound
from gateway.runtime.snapshot import Current
from gateway.store.aside import give_back, has_ended_pauses
from gateway.store.control import pause_targets, resume_targets
from gateway.store.database import Database
from gateway.store.pause import Kind, Pausable, Pause
from gateway.store.pauses import begin_pauses, end_pauses, list_pauses


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
        transaction = pause_targets if _is_whole_target(what) else begin_pauses
        await self._database.commit(transaction, Pause(what=what, by=by, reason=reason, lasting=lasting))

    async def resume(self, what: Pausable) -> None:
        """What waits may start at once; whole targets also get their breaker closed."""
        if _is_whole_target(what):
            await self._database.commit(resume_targets, what.name)
            self._wake([what.name])
        else:
            await self._database.commit(end_pauses, what)
            await self._give_back()

    async def tidy(self) -> None:
        """Gives back the runs of pauses that have come to their end."""
        if await has_ended_pauses(self._database):
            await self._give_back()

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
