"""How much each target has to do, and what keeps it from that: counted over all nodes, for those who watch."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from gateway.core.run import CLAIMABLE, State
from gateway.store.database import Database
from gateway.store.pause import is_paused
from gateway.store.schema import is_unfinished, runs, targets

_UNFINISHED = (
    select(runs.c.target, runs.c.state, func.count(), func.min(runs.c.created_at))
    .where(is_unfinished)
    .group_by(runs.c.target, runs.c.state)
)
_TARGETS = select(targets.c.name, targets.c.paused, targets.c.paused_until, targets.c.open_until)


@dataclass(slots=True, kw_only=True)
class Load:
    """Of one target. `oldest` is when the first of the waiting runs was made; `open`, whether its breaker is."""

    waiting: int = 0
    running: int = 0
    oldest: datetime | None = None
    open: bool = False
    paused: bool = False

    def add(self, state: State, count: int, oldest: datetime) -> None:
        """Counts runs of one state."""
        if state in CLAIMABLE:
            self.waiting += count
            self.oldest = min(oldest, self.oldest or oldest)
        else:
            self.running += count


async def loads_of_targets(database: Database) -> dict[str, Load]:
    """By target, also those that no configuration knows; takes as long as there are unfinished runs."""
    loads = defaultdict[str, Load](Load)
    async with database.read() as connection:
        for row in await connection.execute(_TARGETS):
            loads[row.name] = _without_runs(row, database.now())
        for target, state, count, oldest in await connection.execute(_UNFINISHED):
            loads[target].add(State(state), count, oldest)
    return dict(loads)


def _without_runs(row: Any, now: datetime) -> Load:
    return Load(open=row.open_until is not None, paused=is_paused(row, now))
