"""Which runs people mean who want to do the same to many."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import func, select

from gateway.core.run import State
from gateway.store.database import Database
from gateway.store.history import RunFilter, conditions_of
from gateway.store.schema import runs


@dataclass(frozen=True, slots=True)
class Selection:
    """The ids of runs, oldest first, and how many more there are."""

    ids: tuple[str, ...]
    remaining: int


async def select_runs(
    database: Database, wanted: RunFilter, states: Collection[State], limit: int, after: str | None = None
) -> Selection:
    """Those in one of these states that nobody is cancelling, beginning after the run with the id `after`."""
    conditions = [*conditions_of(wanted), runs.c.state.in_([*states]), ~runs.c.cancelling]
    if after is not None:
        conditions.append(runs.c.id > after)
    ids = select(runs.c.id).where(*conditions).order_by(runs.c.id)
    async with database.read() as connection:
        found = (await connection.scalars(ids.limit(limit + 1))).all()
        if len(found) <= limit:
            return Selection(tuple(found), 0)
        last = found[limit - 1]
        more = await connection.scalars(select(func.count()).select_from(runs).where(*conditions, runs.c.id > last))
        return Selection(tuple(found[:limit]), more.one())
