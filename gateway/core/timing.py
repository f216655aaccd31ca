"""What a user writes about when: a cron expression, an interval, an instant, the calendar, or several of these."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from gateway.core.calendar import Calendar
from gateway.core.cron import cron_times, parse_cron
from gateway.core.duration import Duration
from gateway.core.local_time import SECOND, to_instant
from gateway.core.times import NEVER, AllTimes, AnyTimes, AtTimes, IntervalTimes, Times, all_of

MAX_MEMBERS = 20
MAX_DEPTH = 3
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_YEARS = range(1970, 3000)


def parse_moment(value: object) -> datetime:
    """An RFC 3339 time; one without an offset is naive. Raises `ValueError` for anything else."""
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        value = datetime.fromisoformat(value.upper())
    if not isinstance(value, datetime):
        raise ValueError("expected a time such as 2027-01-15T22:00:00+01:00, or one without an offset")  # noqa: TRY004 - pydantic asks for it
    if value.year not in _YEARS:
        raise ValueError(f"expected a year from {_YEARS[0]} to {_YEARS[-1]}")
    return value


Moment = Annotated[
    datetime,
    BeforeValidator(parse_moment, json_schema_input_type=str),
    PlainSerializer(datetime.isoformat, return_type=str),
]


def instant_of(moment: datetime, zone: ZoneInfo) -> datetime:
    """The instant, in UTC; without an offset it is local: after the gap if there is no such time, the first of two."""
    return to_instant(moment, zone) if moment.tzinfo is None else moment.astimezone(UTC)


def _parse_or_off(text: str) -> str:
    return parse_cron(text) if text.strip() else ""


def _at_least_a_second(interval: timedelta) -> timedelta:
    if interval < SECOND:
        raise ValueError("expected at least 1s")
    return interval


class Timing(BaseModel):
    """When something is due: exactly one of its kinds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    KINDS: ClassVar[tuple[str, ...]] = ("cron", "interval", "at", "calendar", "any", "all")

    cron: Annotated[str, AfterValidator(_parse_or_off)] | None = Field(
        None, description="[second] minute hour day month weekday, or @daily and the like; empty: off."
    )
    interval: Annotated[Duration, AfterValidator(_at_least_a_second)] | None = Field(
        None, description="Every so often."
    )
    anchor: Moment | None = Field(None, description="With `interval`: counted from here, not from when it was set up.")
    at: Moment | None = Field(None, description="Once.")
    calendar: Calendar | None = Field(None, description="Every so many days, weeks, months or years.")
    any: tuple["Timing", ...] | None = Field(
        None, min_length=1, max_length=MAX_MEMBERS, description="When at least one of them is due."
    )
    all: tuple["Timing", ...] | None = Field(
        None, min_length=1, max_length=MAX_MEMBERS, description="When all of them are due at the same instant."
    )

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        kinds = [kind for kind in self.KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1 and (kinds or "cron" not in self.model_fields_set):
            raise ValueError(f"expected exactly one of {', '.join(self.KINDS)}")
        if self.anchor is not None and self.interval is None:
            raise ValueError("anchor goes with interval")
        return self

    @model_validator(mode="after")
    def _has_sound_members(self) -> Self:
        if not self._members:
            return self
        leaves = list(self._leaves())
        if self._depth() > MAX_DEPTH:
            raise ValueError(f"any and all go at most {MAX_DEPTH} deep")
        if len(leaves) > MAX_MEMBERS:
            raise ValueError(f"more than {MAX_MEMBERS} members in all")
        if any(leaf.is_off for leaf in leaves):
            raise ValueError("cron is empty in a member of any or all")
        if self.all and any(member._has_all() for member in self.all):  # noqa: SLF001 - of the same class
            raise ValueError("all must not have another all in it")
        if self.all and any(leaf.interval and not leaf.anchor for leaf in leaves):
            raise ValueError("an interval in all needs an anchor: without one it would meet others by chance")
        return self

    @property
    def is_off(self) -> bool:
        """Whether it says so: by a cron expression that is empty, as a variable that is not set is, or by `false`."""
        return all(getattr(self, kind) in (None, "", False) for kind in self.KINDS)

    def times(self, zone: ZoneInfo, name: str, since: datetime, start: datetime | None) -> Times:
        """When it is due.

        In `cron`, `H` is made from `name`. An interval without an anchor counts from `since`; the calendar counts from
        `start` where there is one. Neither of them limits anything.
        """
        if self.cron:
            return cron_times(self.cron, zone, name)
        if self.interval:
            return IntervalTimes(self.interval, instant_of(self.anchor, zone) if self.anchor else since)
        if self.at:
            return AtTimes(instant_of(self.at, zone))
        if self.calendar:
            return self.calendar.times(zone, start)
        members = tuple(member.times(zone, name, since, start) for member in self._members)
        return all_of(members) if self.all else AnyTimes(members)

    def never_fires(self, zone: ZoneInfo, name: str, now: datetime, start: datetime | None = None) -> str | None:
        """Why an `all` in it is not due within eight years from `now`; `None` if all are."""
        for member in self._members:
            if reason := member.never_fires(zone, name, now, start):
                return reason
        times = self.times(zone, name, now, start) if self.all else None
        if times == NEVER or (isinstance(times, AllTimes) and times.after(now) is None):
            return "all: its members are not due at the same instant within eight years"
        return None

    @property
    def _members(self) -> tuple["Timing", ...]:
        return self.any or self.all or ()

    def _leaves(self) -> Iterator["Timing"]:
        for member in self._members:
            yield from member._leaves()  # noqa: SLF001 - of the same class
        if not self._members:
            yield self

    def _has_all(self) -> bool:
        return self.all is not None or any(member._has_all() for member in self._members)  # noqa: SLF001 - of the same class

    def _depth(self) -> int:
        return max((1 + member._depth() for member in self._members), default=0)  # noqa: SLF001 - of the same class
