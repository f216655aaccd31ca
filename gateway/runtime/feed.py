"""The feed: what has changed of events and runs, for all who want to be told; those at the same place share a look."""

import asyncio

import structlog

from gateway.core.errors import Unavailable
from gateway.store.changes import Changes, Place, changes_after, latest_place
from gateway.store.database import Database

log = structlog.get_logger(__name__)

EVERY = 1.0
LIMIT = 500


class Feed:
    """Costs nothing while nobody asks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looks: dict[Place, asyncio.Task[Changes | None]] = {}

    async def latest(self) -> Place:
        """Behind all that has changed so far. Raises `Unavailable`."""
        return await latest_place(self._database)

    async def after(self, place: Place, *, patiently: bool) -> Changes | None:
        """What comes after a place, within the next second or at once; `None` where it cannot be told now."""
        if place not in self._looks:
            self._looks[place] = asyncio.create_task(self._look(place, EVERY if patiently else 0), name="feed")
        return await asyncio.shield(self._looks[place])

    async def _look(self, place: Place, seconds: float) -> Changes | None:
        await asyncio.sleep(seconds)
        del self._looks[place]
        try:
            return await changes_after(self._database, place, LIMIT)
        except Unavailable as error:
            log.debug("feed.waiting", reason=error.detail)
            return None
