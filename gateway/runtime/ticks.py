"""From schedules, as they are stored or configured, to their ticks, with the configuration in force."""

from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson
from pydantic import ValidationError

from gateway.core.breaker import Breaker
from gateway.core.misfire import Considered, Tick, consider
from gateway.core.schedule import Schedule, literal
from gateway.core.tick import pause_before_the_next, tick_event, tick_plan
from gateway.core.wording import wrong_fields
from gateway.runtime.snapshot import Snapshot
from gateway.runtime.zones import forget, rules
from gateway.store.accept import Acceptance
from gateway.store.continuous import Follow
from gateway.store.leadership import Leading
from gateway.store.schedules import Definition, Origin, StoredSchedule
from gateway.store.tick import Ticking

_NO_MORE = datetime.max.replace(tzinfo=UTC)  # to look at no time at all is to wait for the end of a run


def define(name: str, schedule: Schedule) -> Definition:
    """What is stored of a schedule."""
    zone = str(schedule.timezone)
    return Definition(
        name=name,
        fields=orjson.dumps(schedule.model_dump(mode="json", exclude_unset=True, include={*Schedule.model_fields})),
        timing=_hash(schedule.model_dump(mode="json", include={*Schedule.TIMING})),
        timezone=zone,
        zone_rules=rules(zone),
        continuous=bool(schedule.continuous),
        on=schedule.is_on,
    )


def _hash(value: Any) -> str:
    return sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


def schedule_of(stored: StoredSchedule, snapshot: Snapshot) -> Schedule | None:
    """A schedule again; `None` where it is of a file that says nothing of it on this node."""
    if stored.origin == Origin.FILE:
        return snapshot.schedules.get(stored.name)
    return parsed(stored.definition)


@lru_cache(maxsize=10_000)
def parsed(definition: bytes) -> Schedule:
    """What is stored of a schedule, its templates as mere texts. Raises `ValueError` where that is none any more."""
    fields = orjson.loads(definition)
    try:
        return Schedule.model_validate(literal(fields) if isinstance(fields, dict) else fields)
    except ValidationError as error:
        raise ValueError("; ".join(f"{path}: {what}" for path, what in wrong_fields(error).items())) from error


def forget_zones() -> None:
    """Has what was worked out with the rules of time zones worked out with those of the configuration in force."""
    forget()
    parsed.cache_clear()


def look(leading: Leading, stored: StoredSchedule, snapshot: Snapshot, now: datetime) -> Ticking | None:
    """What is to be made of a schedule now; `None` where that is not this leader's to say."""
    schedule = schedule_of(stored, snapshot)
    if schedule is None or not stored.makes_ticks(now):
        return None
    considered = (
        _count(stored, schedule, snapshot, now) if stored.continuous else _time(stored, schedule, snapshot, now)
    )
    return Ticking(
        leading=leading,
        stored=stored,
        cursor=considered.cursor,
        next_at=considered.next_at,
        zone_rules=rules(stored.timezone),
        acceptances=tuple(_accepted(stored.name, schedule, tick, snapshot, now) for tick in considered.ticks),
        skips=considered.skips,
        overlap=schedule.overlap,
    )


def following(snapshot: Snapshot, now: datetime) -> Follow:
    """What makes the next tick of a continuous schedule whose run has ended."""

    def follow(stored: StoredSchedule) -> Acceptance | None:
        with suppress(Exception):  # the end of a run is settled all the same, and the leader says what is wrong
            return _next(stored, snapshot, now)
        return None

    return follow


def _next(stored: StoredSchedule, snapshot: Snapshot, now: datetime) -> Acceptance | None:
    schedule = schedule_of(stored, snapshot)
    ticks = _count(stored, schedule, snapshot, now).ticks if schedule and schedule.continuous else ()
    return _accepted(stored.name, schedule, ticks[0], snapshot, now) if schedule and ticks else None


def _time(stored: StoredSchedule, schedule: Schedule, snapshot: Snapshot, now: datetime) -> Considered:
    window = snapshot.windows.get(schedule.not_during or "")
    return consider(schedule, schedule.due_times(stored.name, stored.anchor), stored.considered_until, now, window)


def _count(stored: StoredSchedule, schedule: Schedule, snapshot: Snapshot, now: datetime) -> Considered:
    """The next tick of a continuous schedule is due when nothing keeps it from starting."""
    start, end = schedule.bounds
    window = snapshot.windows.get(schedule.not_during or "")
    if later := (start if start and now < start else window and window.closes_at(now)):
        return Considered(cursor=now, next_at=later)
    target = snapshot.targets.get(schedule.target or "")
    breaker = target.settings.breaker if target else Breaker()
    due_at = now + pause_before_the_next(schedule, stored.failures, breaker) if stored.ticks else now
    due_at = (window and window.closes_at(due_at)) or due_at
    if end and end <= due_at:
        return Considered(cursor=now, next_at=_NO_MORE)
    return Considered(cursor=now, next_at=None, ticks=(Tick(instant=due_at, number=stored.ticks + 1),))


def _accepted(name: str, schedule: Schedule, tick: Tick, snapshot: Snapshot, now: datetime) -> Acceptance:
    event = tick_event(name, tick, now)
    return Acceptance(
        event, tick_plan(schedule, tick, event, snapshot.listeners(name), snapshot.lanes), snapshot.limits
    )
