"""Whether this node can do its work, for probes and load balancers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from gateway.runtime.lease import Lease
from gateway.store.database import Database
from gateway.store.leadership import who_leads
from gateway.store.leases import Node, touch

PROBE_TIMEOUT = 2.0


class Health:
    """Ready is a node that can accept; what else is wrong only degrades it."""

    def __init__(
        self, database: Database, lease: Lease, states_of_sources: Callable[[], Mapping[str, str]] = dict
    ) -> None:
        self._database = database
        self._lease = lease
        self._states_of_sources = states_of_sources
        self.stopping = False

    @property
    def sources(self) -> Mapping[str, str]:
        """Of each source that fetches its events: `ok`, or what is wrong."""
        return self._states_of_sources()

    @property
    def node(self) -> Node:
        """This node, as the others know it."""
        return self._lease.node

    async def report(self) -> tuple[bool, dict[str, str]]:
        """Whether this node can accept, and each of its parts: `ok` or what is wrong."""
        store, leader = await asyncio.gather(_answer(self._store()), _answer(self._leader()))
        dispatcher = "ok" if self._lease.is_valid else "degraded: no lease"
        parts = {"store": store, "dispatcher": dispatcher, "leader": leader}
        parts |= {f"sources.{name}": state for name, state in self.sources.items()}
        if self.stopping:
            parts["process"] = "shutting down"
        return store == "ok" and not self.stopping, parts

    async def _store(self) -> str:
        await touch(self._database, self._lease.node.id)
        return "ok"

    async def _leader(self) -> str:
        """Any node's: without one no schedule ticks, and all else goes on."""
        return "ok" if await who_leads(self._database) else "degraded: nobody leads the clock"


async def _answer(part: Awaitable[str]) -> str:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            return await part
    except Exception as error:  # noqa: BLE001 - a probe reports whatever is wrong
        return f"unavailable: {type(error).__name__}"
