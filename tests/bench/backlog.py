"""How long a claim takes with a million queued runs, as a multiple of what it takes with a thousand.

The two databases take turns, claim by claim, so that whatever else happens on the machine happens to both.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from statistics import median

from gateway.core.run import State
from tests.bench.queued_runs import BATCH, Queue, queue
from tests.bench.table import Figure, Round
from tests.servers.postgres import PostgreSQL

ROUNDS = 3
CLAIMS = 50
FEW, MANY = 1_000, 1_000_000

Fill = Callable[[Queue, int], Awaitable[None]]


async def measure(folder: Path, profile: Path | None) -> list[Figure]:
    with closing(PostgreSQL()) as server:
        server.start()
        return [await _measure(name, where, folder) for where in (None, server) for name in CASES]


async def _measure(name: str, server: PostgreSQL | None, folder: Path) -> Figure:
    async with _filled(name, FEW, server, folder) as few, _filled(name, MANY, server, folder) as many:
        await _round(few, many)
        rounds = [await _round(few, many) for _ in range(ROUNDS)]
    database = "PostgreSQL" if server else "SQLite"
    return Figure(name=f"claim, {MANY:,} {name}, {database}", unit="ms", rounds=rounds, goal=1.5)


async def _round(few: Queue, many: Queue) -> Round:
    pairs = [(await many.claim(), await few.claim()) for _ in range(CLAIMS)]
    with_many, with_few = (median(times) * 1000 for times in zip(*pairs, strict=True))
    return Round(measured=with_many, bare=with_few)


@asynccontextmanager
async def _filled(name: str, count: int, server: PostgreSQL | None, folder: Path) -> AsyncIterator[Queue]:
    """PostgreSQL has vacuumed, as it does by itself soon after so many inserts."""
    label = f"{name}-{count}".replace(" ", "-").replace(",", "")
    url = server.create_database(label) if server else f"sqlite:///{folder}/{label}.db"
    async with queue(url) as runs:
        await CASES[name](runs, count)
        if server:
            server.execute("VACUUM ANALYZE", database=label)
        yield runs


async def _all_claimable(runs: Queue, count: int) -> None:
    await runs.add(count)


async def _paused(runs: Queue, count: int) -> None:
    await runs.add(count, target="held")
    await runs.pause("held")
    await runs.add(BATCH)


async def _behind(runs: Queue, count: int) -> None:
    """All have one `per_key.key`, of which one runs at a time."""
    await runs.add(1, lane="ams", claimable=False, state=State.RUNNING)
    await runs.add(count, lane="ams", claimable=False)
    await runs.add(BATCH)


CASES: dict[str, Fill] = {
    "claimable": _all_claimable,
    "of a paused target": _paused,
    "behind a running one": _behind,
}
