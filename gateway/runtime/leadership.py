"""This node's part in leading the clock: a leader while it can be sure of it, a candidate otherwise.

It trusts its leadership only as long as its own monotonic clock says so, counted from before it asked: so it has
stepped down before any other node may be elected.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import structlog

from gateway.core.errors import Unavailable
from gateway.runtime.lease import Lease
from gateway.store.database import Database
from gateway.store.faults import Fault, classify
from gateway.store.leadership import Candidacy, Leading, Renewal, renew, resign, seek

log = structlog.get_logger(__name__)

SHARE = 0.8  # of a node's lease, so that a leader which died is succeeded within all of it
MAX_PAUSE = 1.0


class Leadership:
    """Sought and kept by `run`. Whatever a leader does belongs to the `Leading` under which it began."""

    def __init__(self, database: Database, lease: Lease, length: timedelta) -> None:
        self._database = database
        self._node_lease = lease
        self._length = SHARE * length
        self._third = self._length.total_seconds() / 3
        self._brief = min(MAX_PAUSE, self._length.total_seconds() / 10)
        self._pause = 0.0
        self._leading: Leading | None = None
        self._trusted_until = 0.0
        self._resigned = False
        self._asking = asyncio.Lock()
        self._woken = asyncio.Event()
        self._changed = asyncio.Event()  # a new one after each change

    def is_current(self, leading: Leading) -> bool:
        """Whether this node may go on as leader; a leadership ends with the node's identity as well."""
        is_its_own = leading == self._leading and leading.node_id == self._node_lease.node.id
        return is_its_own and time.monotonic() < self._trusted_until

    async def gained(self) -> Leading:
        """Waits until this node leads."""
        while self._leading is None or not self.is_current(self._leading):
            await self._changed.wait()
        return self._leading

    async def lost(self, leading: Leading) -> None:
        """Waits until that is over."""
        while self.is_current(leading):
            await self._changed.wait()

    def wake(self) -> None:
        """Has it look at once: another leader has resigned, or a write of this one was refused."""
        self._woken.set()

    async def run(self) -> None:
        """Seeks the leadership, and renews it while it has it; until `resign`."""
        while not self._resigned:
            if self._leading and not self.is_current(self._leading):
                self._lose(self._leading)
            await self._look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._at_most(self._pause)):
                    await self._woken.wait()
            self._woken.clear()

    async def resign(self) -> None:
        """Leads no more, and seeks it no more; another node leads at once."""
        self._resigned = True
        self.wake()
        async with self._patience():
            if leading := self._leading:
                self._become(None)
                await self._database.commit(resign, leading)
                log.info("leader.resigned", epoch=leading.epoch)

    async def _look(self) -> None:
        self._pause = self._brief
        async with self._patience():
            if self._leading:
                await self._renew(self._leading)
            elif self._node_lease.is_valid:  # else this node is about to have another identity
                await self._seek()

    @contextlib.asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        """For one question at a time; the database may leave it unanswered."""
        try:
            async with self._asking, asyncio.timeout(self._at_most(self._third)):
                yield
        except Exception as error:
            if classify(error) is Fault.REQUEST and not isinstance(error, Unavailable):
                raise

    async def _seek(self) -> None:
        asked = time.monotonic()
        candidacy = Candidacy(node=self._node_lease.node, lease=self._length)
        if leading := await self._database.commit(seek, candidacy):
            self._trust_from(asked)
            self._become(leading)
            log.info("leader.elected", epoch=leading.epoch)

    async def _renew(self, leading: Leading) -> None:
        asked = time.monotonic()
        if await self._database.commit(renew, Renewal(leading=leading, lease=self._length)):
            self._trust_from(asked)
        else:
            self._lose(leading)

    def _lose(self, leading: Leading) -> None:
        self._become(None)
        log.warning("leader.lost", epoch=leading.epoch)

    def _become(self, leading: Leading | None) -> None:
        self._leading = leading
        self._changed.set()
        self._changed = asyncio.Event()

    def _trust_from(self, asked: float) -> None:
        """On SQLite the owner of the file needs nobody's leave."""
        self._pause = self._third
        self._trusted_until = math.inf if self._database.is_sqlite else asked + 2 * self._third

    def _at_most(self, seconds: float) -> float:
        """So many seconds; but for a leader only until it cannot trust itself any more."""
        return min(seconds, max(0.0, self._trusted_until - time.monotonic())) if self._leading else seconds
