"""Lapse: runs that are not started any more, because it is too late for them or because it has just been done."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Select, bindparam, select

from gateway.store.announce import Announcer
from gateway.store.claim import has_expired, is_fresh
from gateway.store.control import Cancellation, cancel_runs, lock_runs
from gateway.store.counts import What
from gateway.store.database import Database
from gateway.store.lanes import LaneLimits
from gateway.store.schema import Timestamp, may_be_fresh, may_expire, runs
from gateway.store.writer import Work

BATCH = 500
EXPIRED = "expired: it was not started in time"
FRESH = "fresh: a run of the same key that started within fresh_for has succeeded"

_IS_DUE = (runs.c.target == bindparam("of_target")) & (runs.c.due_at <= bindparam("now", type_=Timestamp()))
_EXPIRED = select(runs.c.id).where(may_expire, has_expired)
_FRESH = select(runs.c.id).where(may_be_fresh, _IS_DUE, is_fresh)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lapsing:
    """What is looked at: of a target the runs that are fresh; without one, whatever has expired."""

    target: str | None = None
    limits: LaneLimits = field(default_factory=dict)
    announcer: Announcer | None = None


async def has_expired_runs(database: Database) -> bool:
    """Whether there is anything to cancel; a look that costs less than a commit."""
    async with database.read() as connection:
        return await connection.scalar(_EXPIRED.limit(1), {"now": database.now()}) is not None


def lapse(work: Work, lapsing: Sequence[Lapsing]) -> list[int]:
    """Cancels what a claim passes over; how many runs that were, a batch at most."""
    return [_lapse(work, one) for one in lapsing]


def _lapse(work: Work, wanted: Lapsing) -> int:
    given = {"now": work.now, "of_target": wanted.target}
    statement, reason, counted = (
        (_EXPIRED, EXPIRED, What.EXPIRED) if wanted.target is None else (_FRESH, FRESH, What.FRESH)
    )
    found = _ids(work, statement.limit(BATCH), given)
    lock_runs(work, found)
    lapsed = _ids(work, statement.where(runs.c.id.in_(found)), given)  # one may have merged another request meanwhile
    plain = Cancellation(run_id="", reason=reason, limits=wanted.limits, announcer=wanted.announcer, counted=counted)
    cancel_runs(work, [replace(plain, run_id=run_id) for run_id in lapsed])
    return len(lapsed)


def _ids(work: Work, statement: Select[Any], given: dict[str, Any]) -> list[str]:
    return list(work.connection.scalars(statement.order_by(runs.c.id), given).all())
