"""Pauses of whole targets, which stand in their rows; what turns is announced."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import select, update

from gateway.store.announce import Announcer, TargetTurned, Turn, Turning, announce
from gateway.store.database import Database, notify
from gateway.store.lanes import lock_targets
from gateway.store.pause import NOT_PAUSED, Pause, is_paused
from gateway.store.schema import targets
from gateway.store.writer import Work

_NOT_OPEN = {"breaker_failures": 0, "breaker_pause": None, "open_until": None}
_is_paused = targets.c.paused.is_(True)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPause:
    """The pause of a target; one that is paused already is paused anew, and that is not announced."""

    pause: Pause
    announcer: Announcer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetResumption:
    """The end of a pause by hand, or of one whose time is over, where nobody ends it."""

    target: str
    by: str | None = None
    announcer: Announcer | None = None


def pause_targets(work: Work, wanted: Sequence[TargetPause]) -> list[datetime | None]:
    """Stops their calls, while requests queue and merge; until when, where the pause ends by itself."""
    paused = _lock(work, [one.pause.what.name for one in wanted])
    for one in wanted:
        mine = update(targets).where(targets.c.name == one.pause.what.name)
        work.connection.execute(mine.values(one.pause.values(work.now)))
    announce(work, turned=[_paused(one, work.now) for one in wanted if one.pause.what.name not in paused])
    return [one.pause.until(work.now) for one in wanted]


def resume_targets(work: Work, wanted: Sequence[TargetResumption]) -> list[None]:
    """Ends pauses by hand, and closes the breaker: whoever resumes wants to see a call."""
    names = [one.target for one in wanted]
    paused = _lock(work, names)
    work.connection.execute(update(targets).where(targets.c.name.in_(names)).values({**NOT_PAUSED, **_NOT_OPEN}))
    announce(work, turned=[_resumed(one, work.now) for one in wanted if one.target in paused])
    notify(work.connection, orjson.dumps(sorted(names)).decode())
    return [None for _ in wanted]


def end_target_pauses(work: Work, wanted: Sequence[TargetResumption]) -> list[None]:
    """Those whose time is over; the breaker stays as it is."""
    lock_targets(work.connection, [one.target for one in wanted])
    for one in wanted:
        over = _is_paused & (targets.c.name == one.target) & (targets.c.paused_until <= work.now)
        ended = update(targets).where(over).values(NOT_PAUSED).returning(targets.c.breaker_pause)
        breaker_pauses = work.connection.scalars(ended).all()
        announce(work, turned=[_resumed(one, work.now)] if breaker_pauses == [None] else [])
    return [None for _ in wanted]


async def ended_target_pauses(database: Database) -> list[str]:
    """The targets whose pauses have come to their end, and nobody has said so."""
    over = select(targets.c.name).where(_is_paused, targets.c.paused_until <= database.now())
    async with database.read() as connection:
        return list((await connection.scalars(over)).all())


def _lock(work: Work, names: Iterable[str]) -> set[str]:
    """Those of these targets that are held back: by hand, or by their breakers."""
    wanted = set(names)
    lock_targets(work.connection, wanted)
    rows = work.connection.execute(select(targets).where(targets.c.name.in_(wanted)))
    return {row.name for row in rows if is_paused(row, work.now) or row.breaker_pause is not None}


def _paused(one: TargetPause, now: datetime) -> Turning:
    pause = one.pause
    return one.announcer, TargetTurned(
        target=pause.what.name, turn=Turn.PAUSED, at=now, by=pause.by, reason=pause.reason, until=pause.until(now)
    )


def _resumed(one: TargetResumption, now: datetime) -> Turning:
    return one.announcer, TargetTurned(target=one.target, turn=Turn.RESUMED, at=now, by=one.by, reason=None)
