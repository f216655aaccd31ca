"""A node trusts its lease no longer than its own clock allows, whatever the database does."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from gateway.runtime.lease import Lease
from gateway.runtime.snapshot import Snapshot

LENGTH = 0.6


class Away:
    """A database that takes the first lease, and then answers nobody."""

    is_sqlite = False

    def __init__(self) -> None:
        self.commits = 0

    async def commit(self, *_: Any) -> Any:
        self.commits += 1
        if self.commits > 1:
            await asyncio.Event().wait()

    async def follow_clock(self) -> None:
        pass


@pytest.mark.parametrize("renewed_late", [0.0, 0.15])
async def test_calls_are_broken_off_before_others_may_take_the_runs(renewed_late: float) -> None:
    database: Any = Away()
    snapshot = Snapshot(hash="", sources={}, triggers={}, targets={}, windows={})
    lease = Lease(database, snapshot, timedelta(seconds=LENGTH))
    lost = asyncio.Event()
    lease.on_lost(lost.set)
    asked = time.monotonic()
    await lease.acquire()
    await asyncio.sleep(renewed_late)
    keeping = asyncio.create_task(lease.keep())
    await asyncio.wait_for(lost.wait(), 2)
    assert time.monotonic() - asked < 0.9 * LENGTH
    keeping.cancel()
