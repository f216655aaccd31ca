"""Watching runs: one look a second for all who follow one, on whichever node the calls are made."""

import asyncio

import structlog

from gateway.core.errors import Unavailable
from gateway.store.database import Database
from gateway.store.logs import Sign, signs_of

log = structlog.get_logger(__name__)

EVERY = 1.0


class Watch:
    """Costs nothing while nobody asks; whoever goes away is not looked for again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._wanted: set[str] = set()
        self._look: asyncio.Task[dict[str, Sign]] | None = None

    async def look(self, run_id: str) -> Sign | None:
        """The sign of a run at the next look; `None` where it cannot be told now."""
        self._wanted.add(run_id)
        if self._look is None:
            self._look = asyncio.create_task(self._look_together(), name="watch")
        return (await asyncio.shield(self._look)).get(run_id)

    async def _look_together(self) -> dict[str, Sign]:
        await asyncio.sleep(EVERY)
        wanted, self._wanted, self._look = self._wanted, set(), None
        try:
            return await signs_of(self._database, wanted)
        except Unavailable as error:
            log.debug("watch.waiting", reason=error.detail)
            return {}
