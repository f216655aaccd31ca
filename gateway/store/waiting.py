"""Why a run that could be claimed one day is not running yet."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.run import CLAIMABLE, State
from gateway.store.claim import HOLDS_LEASE
from gateway.store.pause import Kind, Pausable, is_paused, told
from gateway.store.pauses import Pauses, in_force
from gateway.store.schema import nodes, targets

Held = Mapping[str, str]
"""The targets that are held back at this moment, and the windows that do it: what only the configuration knows."""

NONE_HELD: Held = MappingProxyType({})


async def why_waiting(
    connection: AsyncConnection, rows: Sequence[Any], now: datetime, held: Held = NONE_HELD
) -> dict[str, str]:
    """By the ids of those runs that wait."""
    pending = [row for row in rows if State(row.state) in CLAIMABLE]
    if not pending:
        return {}
    served = await connection.scalars(select(nodes.c.targets).where(HOLDS_LEASE))
    names = {name for of_node in served for name in orjson.loads(of_node)}
    wanted = names.intersection(row.target for row in pending)
    known = await connection.execute(select(targets).where(targets.c.name.in_(wanted)))
    states = {target.name: target for target in known}
    paused = await connection.run_sync(in_force, now)
    return {row.id: _waiting_for(row, states.get(row.target), paused, now, held.get(row.target)) for row in pending}


def _waiting_for(run: Any, target: Any, paused: Pauses, now: datetime, window: str | None) -> str:
    if target is None:
        return f"a node that carries out runs of the target {run.target}"
    if run.behind is not None:
        return f"run {run.behind} of the same key to end its attempt"
    if stopped := _paused(run, target, paused, now) or _unreachable(target, now):
        return stopped
    if run.due_at > now:
        return "its next attempt" if run.state == State.RETRYING else "its due time"
    return f"the window {window} to close" if window is not None else _turn(run, target, now)


def _turn(run: Any, target: Any, now: datetime) -> str:
    """What comes before a run that could be called."""
    if not run.claimable and run.lane is not None:
        return f"other runs of {run.lane!r}"
    if target.next_call_at is not None and now < target.next_call_at:
        return f"the rate of the target; next call at {_time(target.next_call_at)}"
    return "a free slot of the target"


def _paused(run: Any, target: Any, paused: Pauses, now: datetime) -> str | None:
    """What has to be resumed first, and who paused it."""
    if is_paused(target, now):
        return f"the target to be resumed, {told(target)}"
    if paused.of_everything is not None:
        return f"everything to be resumed, {told(paused.of_everything)}"
    held = (f"{_name(what)} to be resumed, {told(paused.rows[what])}" for what in paused.holding(run))
    return next(held, None)


def _name(what: Pausable) -> str:
    name = "the target" if what.kind is Kind.TARGET else f"the {what.kind} {what.name}"
    return f"the key {what.key!r} of {name}" if what.key else name


def _unreachable(target: Any, now: datetime) -> str | None:
    if target.open_until is not None and now < target.open_until:
        return f"the target to be reachable; next try at {_time(target.open_until)}"
    return None


def _time(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
