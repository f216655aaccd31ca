"""This node's lease: the time-limited right to carry out its runs.

The node trusts its lease only as long as its own monotonic clock says so, counted from before it asked: so it has
broken off its calls before any other node may take its runs.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import structlog

from gateway import __version__
from gateway.core.errors import Unavailable
from gateway.core.ids import new_id
from gateway.runtime.snapshot import Snapshot
from gateway.store.database import Database
from gateway.store.faults import Fault, classify, told
from gateway.store.leases import Node, describe, register, renew, retire

log = structlog.get_logger(__name__)

MARGIN = 0.2  # of the lease, kept for breaking off


class Lease:
    """Acquired once at start, kept by `keep`; when it is lost, the node goes on under a new identity."""

    def __init__(self, database: Database, snapshot: Snapshot, length: timedelta) -> None:
        self._database = database
        self._length = length
        self._trusted_until = 0.0
        self._lost: list[Callable[[], None]] = []
        self.node = Node(
            id=new_id(),
            name=f"{socket.gethostname()}:{os.getpid()}",
            version=__version__,
            config_hash=snapshot.hash,
            labels=snapshot.server.labels,
            targets=snapshot.local_targets,
        )
        self._telling = asyncio.Lock()

    @property
    def is_valid(self) -> bool:
        """On SQLite the owner of the file needs nobody's leave."""
        return self._database.is_sqlite or time.monotonic() < self._trusted_until

    def on_lost(self, act: Callable[[], None]) -> None:
        """Has something done as soon as the lease cannot be trusted any more."""
        self._lost.append(act)

    async def acquire(self) -> None:
        async with self._telling:
            asked = time.monotonic()
            await register(self._database, self.node, self._length)
            self._trust_from(asked)

    async def tell(self, snapshot: Snapshot) -> None:
        """Lets all know what this node is by another configuration. Raises `Unavailable`."""
        async with self._telling:
            await describe(self._database, _described(self.node, snapshot))
            self.node = _described(self.node, snapshot)  # its id may be another by now

    async def keep(self) -> None:
        """Renews the lease three times in its length, for ever."""
        while True:
            await asyncio.sleep(self._next_look())
            try:
                async with asyncio.timeout(self._next_look()):
                    await self._renew()
                    await self._database.follow_clock()
            except Exception as error:
                if classify(error) is Fault.REQUEST and not isinstance(error, Unavailable):
                    raise
                log.warning("lease.not_renewed", node=self.node.name, error=told(error))
            if not self.is_valid:
                self._lose()

    async def give_back(self) -> None:
        """Lets the lease go; what this node still had is lost at once."""
        await retire(self._database, self.node.id)

    async def _renew(self) -> None:
        asked = time.monotonic()
        if not self.is_valid:
            self._lose()
        elif await renew(self._database, self.node.id, self._length):
            self._trust_from(asked)
            return
        else:
            self._lose()
        self.node = replace(self.node, id=new_id())
        await self.acquire()
        log.info("lease.acquired_anew", node=self.node.name)

    def _next_look(self) -> float:
        """Seconds; a lease that ends before the next renewal is noticed when it ends."""
        third = self._length.total_seconds() / 3
        left = self._trusted_until - time.monotonic()
        return min(third, left) if left > 0 else third

    def _trust_from(self, asked: float) -> None:
        self._trusted_until = asked + self._length.total_seconds() * (1 - MARGIN)

    def _lose(self) -> None:
        if self._trusted_until:
            log.error("lease.lost", node=self.node.name)
            self._trusted_until = 0.0
            for act in self._lost:
                act()


def _described(node: Node, snapshot: Snapshot) -> Node:
    return replace(node, config_hash=snapshot.hash, labels=snapshot.server.labels, targets=snapshot.local_targets)
