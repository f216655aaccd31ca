"""P6: no tick is lost and none is doubled, by a stated policy. The jumps of clocks are in tests/faults."""

import asyncio
from pathlib import Path

from tests.end_to_end.sending import caught
from tests.faults.restarts import killed, survives_restarts


async def test_p6_killed_around_its_ticks(tmp_path: Path) -> None:
    """Two at the same time, ten times each."""
    async with asyncio.TaskGroup() as nodes:
        for name in ("one", "other"):
            nodes.create_task(survives_restarts(tmp_path / name, killed, count=10))


async def test_p6_is_tested(tmp_path: Path) -> None:
    with caught():
        await survives_restarts(tmp_path, killed, count=3, defects=["misfires-are-forgotten"])
