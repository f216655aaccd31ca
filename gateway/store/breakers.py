"""What attempts do to the breakers of their targets, and what there is to tell of that."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import or_, select, update

from gateway.core import breaker
from gateway.core.breaker import Breaker, BreakerState
from gateway.core.outcome import Outcome, Succeeded
from gateway.store.announce import Announcer, EndedRun, TargetTurned, Turn, Turning
from gateway.store.pause import is_paused
from gateway.store.schema import targets
from gateway.store.writer import Work

_CLOSED = {"breaker_failures": 0, "breaker_pause": None, "open_until": None}


class Call(Protocol):
    """What is looked at of an attempt."""

    @property
    def run(self) -> EndedRun: ...
    @property
    def outcome(self) -> Outcome: ...
    @property
    def breaker(self) -> Breaker: ...
    @property
    def announcer(self) -> Announcer | None: ...


@dataclass(slots=True)
class Breakers:
    """The targets whose breakers are open by now, those that were probed in vain, and what there is to tell of them."""

    open: set[str] = field(default_factory=set)
    probed: set[str] = field(default_factory=set)
    turned: list[Turning] = field(default_factory=list)

    def note(self, call: Call, row: Any, state: BreakerState, now: datetime) -> None:
        """A breaker as it was stored, and as it is; what people have paused stays so, whatever its breaker does."""
        before = _stored(row)
        if state.has_opened:
            self.open.add(row.name)
        if state.has_opened and before.has_opened and state != before:
            self.probed.add(row.name)
        if state.has_opened != before.has_opened and not is_paused(row, now):
            self.turned.append((call.announcer, _turned(call, state, now)))


def to_be_closed(work: Work, names: set[str]) -> set[str]:
    """Those of these targets, which all could be reached, whose breakers were not as new."""
    if not names:
        return set()
    probing = targets.c.open_until <= work.now  # while it is open, a success is of a call that began before
    disturbed = or_(probing, targets.c.open_until.is_(None) & (targets.c.breaker_failures > 0))
    return set(work.connection.scalars(select(targets.c.name).where(targets.c.name.in_(sorted(names)), disturbed)))


def write_breakers(work: Work, calls: Sequence[Call], locked: set[str]) -> Breakers:
    """Shared by all nodes; of targets whose rows are not locked, a success has nothing to close."""
    found = Breakers()
    latest = {call.run.target: call for call in calls}
    failed = {call.run.target for call in calls if not isinstance(call.outcome, Succeeded)}
    for row in _close(work, to_be_closed(work, locked.intersection(latest) - failed)):
        found.note(latest[row.name], row, BreakerState(), work.now)
    rows = work.connection.execute(select(targets).where(targets.c.name.in_(sorted(failed)))) if failed else ()
    for row in rows:
        state = _after(row, calls, work.now)
        if state != _stored(row):
            values = {"breaker_failures": state.failures, "breaker_pause": state.pause, "open_until": state.open_until}
            work.connection.execute(update(targets).where(targets.c.name == row.name).values(values))
        found.note(latest[row.name], row, state, work.now)
    return found


def _after(row: Any, calls: Iterable[Call], now: datetime) -> BreakerState:
    state = _stored(row)
    for call in calls:
        if call.run.target == row.name:
            state = breaker.after(state, call.outcome, call.breaker, now)
    return state


def _close(work: Work, names: set[str]) -> Sequence[Any]:
    """The rows as they were."""
    if not names:
        return ()
    mine = targets.c.name.in_(sorted(names))
    rows = work.connection.execute(select(targets).where(mine).order_by(targets.c.name)).all()
    work.connection.execute(update(targets).where(mine).values(_CLOSED))
    return rows


def _stored(row: Any) -> BreakerState:
    return BreakerState(row.breaker_failures, row.breaker_pause, row.open_until)


def _turned(call: Call, state: BreakerState, now: datetime) -> TargetTurned:
    return TargetTurned(
        target=call.run.target,
        turn=Turn.PAUSED if state.has_opened else Turn.RESUMED,
        at=now,
        by="breaker",
        reason=f"{state.failures} failures in a row: {call.outcome.reason}" if state.has_opened else None,
        until=state.open_until,
        cause=call.run,
    )
