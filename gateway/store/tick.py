"""Tick: what is due of schedules, and how far they are considered now; one transaction, under the leader's epoch.

A tick is made once: the id of its event follows from schedule and instant, the row of the schedule is locked and must
still be as it was when its ticks were worked out, and only the leader gets here. The promise rests on the first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from gateway.core.misfire import Skip
from gateway.core.once import Until
from gateway.core.request import Request
from gateway.core.schedule import Overlap
from gateway.store.accept import Acceptance, Accepted, accept
from gateway.store.bulk import select_pairs, select_rows
from gateway.store.continuous import without_run
from gateway.store.control import Cancellation, cancel_runs
from gateway.store.leadership import Leading, NotLeading, refusal
from gateway.store.pause import NOT_PAUSED
from gateway.store.schedules import StoredSchedule, lock_schedules
from gateway.store.schema import events, is_running, is_unfinished, keys, runs, schedules
from gateway.store.skips import record_skips
from gateway.store.writer import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticking:
    """What a look at a schedule came to; `stored` is the row that was looked at, `acceptances` are its ticks."""

    leading: Leading
    stored: StoredSchedule
    cursor: datetime
    next_at: datetime | None
    zone_rules: str
    acceptances: tuple[Acceptance, ...] = ()
    skips: tuple[Skip, ...] = ()
    overlap: Overlap = Overlap.QUEUE

    @property
    def name(self) -> str:
        return self.stored.name


_Made = tuple[str, Acceptance]
"""A schedule's name and its tick."""


@dataclass(slots=True)
class Ticked:
    """What became of it."""

    accepted: list[Accepted]
    skips: list[Skip]


def tick(work: Work, tickings: Sequence[Ticking]) -> list[Ticked | NotLeading | None]:
    """For each schedule what was made; `None` where it has been changed, or ticked, since it was looked at."""
    if refused := refusal(work, (ticking.leading for ticking in tickings)):
        return [refused for _ in tickings]
    known = lock_schedules(work.connection, [ticking.name for ticking in tickings])
    current = {one.name: one for one in tickings if _is_as_it_was(one.stored, known.get(one.name))}
    ticked = _make(work, current | _that_wait_for_a_run(work.connection, current))
    return [ticked.get(ticking.name) for ticking in tickings]


def _is_as_it_was(looked_at: StoredSchedule, now: StoredSchedule | None) -> bool:
    seen = (looked_at.version, looked_at.cursor, looked_at.ticks)
    return now is not None and now.removed_at is None and seen == (now.version, now.cursor, now.ticks)


_UNFINISHED = select(runs.c.id).where(runs.c.id.in_(bindparam("wanted", expanding=True)), is_unfinished)


def _that_wait_for_a_run(connection: Connection, tickings: Mapping[str, Ticking]) -> dict[str, Ticking]:
    """Continuous schedules whose last run is not over: its end makes their next tick."""
    started = {name: one.stored.last_run_id for name, one in tickings.items() if one.stored.continuous}
    unfinished = {row.id for row in select_rows(connection, _UNFINISHED, filter(None, started.values()))}
    waiting = [name for name, run_id in started.items() if run_id in unfinished]
    return {name: replace(tickings[name], acceptances=(), next_at=None) for name in waiting}


def _make(work: Work, tickings: Mapping[str, Ticking]) -> dict[str, Ticked]:
    ticked = {name: Ticked([], list(ticking.skips)) for name, ticking in tickings.items()}
    ticks = [(name, acceptance) for name, ticking in tickings.items() for acceptance in ticking.acceptances]
    made_before = _stored_events(work.connection, [acceptance.event.id for _, acceptance in ticks])
    ticks = [(name, acceptance) for name, acceptance in ticks if acceptance.event.id not in made_before]
    ticks = _leave_out_those_in_the_way(work.connection, ticks, ticked)
    _cancel_running(work, [tickings[name] for name, acceptance in ticks if _has_successor(acceptance)])
    results = accept(work, [(acceptance,) for _, acceptance in ticks])
    for (name, _), accepted in zip(ticks, results, strict=True):
        ticked[name].accepted += accepted
    record_skips(work, {name: (tickings[name].stored.last_tick_at, one.skips) for name, one in ticked.items()})
    last_ticks = {name: acceptance.event.time for name, acceptance in ticks}
    _write(work, tickings, ticked, last_ticks)
    return ticked


def _leave_out_those_in_the_way(
    connection: Connection, ticks: Sequence[_Made], ticked: Mapping[str, Ticked]
) -> list[_Made]:
    """A tick that only a finished run would let through makes nothing while there is none, not even an event."""
    requests = {acceptance.event.id: request for _, acceptance in ticks if (request := _only_request(acceptance))}
    busy = _busy(connection, requests.values())
    wanted = []
    for name, acceptance in ticks:
        request = requests.get(acceptance.event.id)
        holder = busy.get((request.target, request.key or "")) if request else None
        if request is None or holder is None:
            wanted.append((name, acceptance))
        else:
            ticked[name].skips.append(_skip(acceptance.event.time, request, f"run {holder} is not over"))
    return wanted


def _skip(instant: datetime, request: Request, reason: str) -> Skip:
    """The tick, and those that it would have stood for."""
    count = 1 + (request.missed or 0)
    return Skip(since=request.missed_since or instant, until=instant, count=count, reason=reason)


_STORED_EVENTS = select(events.c.id).where(events.c.id.in_(bindparam("wanted", expanding=True)))


def _stored_events(connection: Connection, ids: Iterable[str]) -> set[str]:
    """The ticks that somebody has made before: another leader, or this one before its clock was set back."""
    return {row.id for row in select_rows(connection, _STORED_EVENTS, ids)}


def _only_request(acceptance: Acceptance) -> Request | None:
    """The request of a tick that asks for nothing else, and for that only if no run of its key is unfinished."""
    match acceptance.plan.steps:
        case (Request(until=Until.FINISHED) as request,):
            return request
    return None


_BUSY = (
    select(keys.c.target, keys.c.key, keys.c.run_id)
    .join(runs, runs.c.id == keys.c.run_id)
    .where(keys.c.target.in_(bindparam("firsts", expanding=True)), keys.c.key.in_(bindparam("seconds", expanding=True)))
    .where(is_unfinished)
)


def _busy(connection: Connection, requests: Iterable[Request]) -> dict[tuple[str, str], str]:
    """The unfinished runs that hold the keys of these requests."""
    rows = select_pairs(connection, _BUSY, {(request.target, request.key or "") for request in requests})
    return {(row.target, row.key): row.run_id for row in rows}


def _has_successor(acceptance: Acceptance) -> bool:
    """Whether the schedule itself requests something; what triggers request does not stand in for its runs."""
    return any(request.schedule for request in acceptance.plan.requests)


def _cancel_running(work: Work, tickings: Iterable[Ticking]) -> None:
    names = {ticking.name for ticking in tickings if ticking.overlap is Overlap.CANCEL_RUNNING}
    if names:
        running = select(runs.c.id, runs.c.schedule).where(is_running, runs.c.schedule.in_(names), ~runs.c.cancelling)
        found = work.connection.execute(running.order_by(runs.c.id)).all()
        cancel_runs(work, [Cancellation(run_id=row.id, reason=f"{row.schedule} is due again") for row in found])


_UPDATE = (
    update(schedules)
    .where(schedules.c.name == bindparam("of_schedule"))
    .values(
        cursor=bindparam("new_cursor"),
        next_at=bindparam("new_next_at"),
        failures=bindparam("new_failures"),
        zone_rules=bindparam("new_zone_rules"),
        ticks=schedules.c.ticks + bindparam("more_ticks"),
        last_tick_at=bindparam("new_last_tick_at"),
        last_run_id=bindparam("new_last_run_id"),
        **NOT_PAUSED,
    )
)


def _write(
    work: Work, tickings: Mapping[str, Ticking], ticked: Mapping[str, Ticked], last_ticks: Mapping[str, datetime]
) -> None:
    rows: list[dict[str, Any]] = [
        {
            "of_schedule": name,
            "new_cursor": ticking.cursor,
            "new_next_at": ticking.next_at,
            "new_failures": ticking.stored.failures,
            "new_zone_rules": ticking.zone_rules,
            "more_ticks": len(ticked[name].accepted),
            "new_last_tick_at": last_ticks.get(name, ticking.stored.last_tick_at),
            "new_last_run_id": _last_run(ticked[name].accepted) or ticking.stored.last_run_id,
        }
        | _without_run(ticking, ticked[name].accepted)
        for name, ticking in sorted(tickings.items())
    ]
    if rows:
        work.connection.execute(_UPDATE, rows)


def _without_run(ticking: Ticking, accepted: Sequence[Accepted]) -> dict[str, Any]:
    """A continuous schedule that has no run to wait for is looked at again when that would have started."""
    if not ticking.stored.continuous or not accepted or _last_run(accepted):
        return {}
    again = without_run(ticking.stored, ticking.acceptances[-1].event.time)
    return {f"new_{name}": value for name, value in again.items()}


def _last_run(accepted: Sequence[Accepted]) -> str | None:
    """The run that the last tick went into; the schedule's own decision is the first."""
    made = [one.decisions[0].run_id for one in accepted if one.decisions]
    return made[-1] if made else None
