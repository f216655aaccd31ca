"""Keeps what calls in progress say while they last, so that it can be seen from any node and outlives this one."""

import asyncio
from datetime import timedelta

import structlog

from gateway.core.errors import Unavailable
from gateway.runtime.attempt import Attempt
from gateway.runtime.dispatcher import Dispatcher
from gateway.store.database import Database
from gateway.store.live import Said, keep_said

log = structlog.get_logger(__name__)

EVERY = timedelta(seconds=1)
"""Calls that are shorter cost nothing: what they said is stored with their outcome."""


class Live:
    """Stores all news of this node's calls together, once a second."""

    def __init__(self, database: Database, dispatcher: Dispatcher) -> None:
        self._database = database
        self._dispatcher = dispatcher

    async def run(self) -> None:
        """Goes on for ever."""
        while True:
            await asyncio.sleep(EVERY.total_seconds())
            await self.keep()

    async def keep(self) -> None:
        long_enough = self._database.now() - EVERY
        lasting = [one for one in self._dispatcher.attempts if one.run.attempt_started_at <= long_enough]
        news = [(attempt, said) for attempt in lasting if (said := attempt.news())]
        await asyncio.gather(*(self._keep(attempt, said) for attempt, said in news))

    async def _keep(self, attempt: Attempt, said: Said) -> None:
        """What cannot be stored now is told again the next time."""
        try:
            await self._database.commit(keep_said, said)
        except Unavailable as error:
            log.debug("live.waiting", reason=error.detail)
        except Exception:
            log.exception("live.failed", run_id=said.run_id)
        else:
            attempt.keep(said)
