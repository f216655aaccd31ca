"""Whether this node can do its work, for probes and load balancers."""

import asyncio

from gateway.runtime.lease import Lease
from gateway.store.database import Database
from gateway.store.leases import Node, touch

PROBE_TIMEOUT = 2.0


class Health:
    """Ready is a node that can accept; what else is wrong only degrades it."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database = database
        self._lease = lease
        self.stopping = False

    @property
    def node(self) -> Node:
        """This node, as the others know it."""
        return self._lease.node

    async def report(self) -> tuple[bool, dict[str, str]]:
        """Whether this node can accept, and each of its parts: `ok` or what is wrong."""
        store = await self._store()
        parts = {"store": store, "dispatcher": "ok" if self._lease.is_valid else "degraded: no lease"}
        if self.stopping:
            parts["process"] = "shutting down"
        return store == "ok" and not self.stopping, parts

    async def _store(self) -> str:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                await touch(self._database, self._lease.node.id)
        except Exception as error:  # noqa: BLE001 - a probe reports whatever is wrong
            return f"unavailable: {type(error).__name__}"
        return "ok"
