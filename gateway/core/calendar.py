"""What comes every so many days, weeks, months or years, at a time of day."""

import re
from abc import ABC, abstractmethod
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from gateway.core.local_time import LocalTimes, to_local

_TIME = re.compile(r"\d\d:\d\d(:\d\d)?", re.ASCII)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_EPOCH = date(1970, 1, 1)
_MONDAY = date(1969, 12, 29)  # of the week that the epoch is in
_EVERY = Field(None, ge=1, le=1000, description="Every so many of them; exactly one of these four.")


def parse_time(text: object) -> time:
    """A time of day as `HH:MM` or `HH:MM:SS`. Raises `ValueError` for anything else."""
    if isinstance(text, time):
        return text
    try:
        if isinstance(text, str) and _TIME.fullmatch(text):
            return time.fromisoformat(text)
    except ValueError:  # 24:00
        pass
    raise ValueError('expected a time of day such as "04:00"')


def _month_number(month: object) -> object:
    return _MONTHS.index(month.lower()) + 1 if isinstance(month, str) and month.lower() in _MONTHS else month


def _format_time(value: time) -> str:
    return value.isoformat("seconds" if value.second else "minutes")


TimeOfDay = Annotated[
    time,
    BeforeValidator(parse_time, json_schema_input_type=str),
    PlainSerializer(_format_time, return_type=str),
]
Month = Annotated[int, BeforeValidator(_month_number, json_schema_input_type=int | Literal[_MONTHS])]


class Calendar(BaseModel):
    """Every so many days, weeks, months or years.

    Counted from the day, week, month or year that the schedule starts in; for one without a start, from those in which
    1970 began, so that every third month is January, April, July and October.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: int | None = _EVERY
    weeks: int | None = _EVERY
    months: int | None = _EVERY
    years: int | None = _EVERY
    time: TimeOfDay = Field(time(0), description="HH:MM or HH:MM:SS, in the timezone.")
    weekday: Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"] | None = Field(
        None, description="With weeks; default that of the start, else mon."
    )
    day: int | None = Field(
        None, ge=1, le=31, description="With months and years; the last where a month has no such day."
    )
    month: Month | None = Field(None, ge=1, le=12, description="With years; a number or jan-dec.")

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if [self.days, self.weeks, self.months, self.years].count(None) != 3:  # noqa: PLR2004 - all but one
            raise ValueError("expected exactly one of days, weeks, months, years")
        if self.weekday is not None and self.weeks is None:
            raise ValueError("weekday goes with weeks")
        if self.day is not None and self.months is None and self.years is None:
            raise ValueError("day goes with months and years")
        if self.month is not None and self.years is None:
            raise ValueError("month goes with years")
        return self

    def times(self, zone: ZoneInfo, start: datetime | None) -> LocalTimes:
        """When it comes, also before `start`."""
        return LocalTimes(self._pattern(to_local(start, zone).date() if start else None), zone)

    def _pattern(self, start: date | None) -> "CalendarPattern":
        if self.days:
            return DayPattern(time=self.time, every=self.days, first=start or _EPOCH)
        if self.weeks:
            return DayPattern(time=self.time, every=7 * self.weeks, first=self._first_of_week(start or _MONDAY))
        origin = start or _EPOCH
        day = self.day or origin.day
        if self.months:
            return MonthPattern(time=self.time, every=self.months, first=_month_index(origin), day=day)
        first = 12 * origin.year + (self.month or origin.month) - 1
        return MonthPattern(time=self.time, every=12 * (self.years or 1), first=first, day=day)

    def _first_of_week(self, start: date) -> date:
        weekday = _WEEKDAYS.index(self.weekday) if self.weekday else start.weekday()
        return start + timedelta(days=weekday - start.weekday())


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarPattern(ABC):
    """Local times that are numbered through, in both directions."""

    time: time
    every: int

    @property
    def is_fixed(self) -> bool:
        return True

    @property
    def is_every_hour(self) -> bool:
        return False

    def following(self, local: datetime) -> datetime | None:
        return self._at(self._number_from(local + timedelta.resolution))

    def count(self, begin: datetime, end: datetime) -> int:
        return max(0, self._number_from(end) - self._number_from(begin))

    def _number_from(self, local: datetime) -> int:
        """The number of the first one at or after a local time."""
        number = self._number(local.date())
        return number if self._at(number) >= local else number + 1

    def _at(self, number: int) -> datetime:
        return datetime.combine(self._day(number), self.time)

    @abstractmethod
    def _day(self, number: int) -> date:
        """The day of the one with a number."""

    @abstractmethod
    def _number(self, day: date) -> int:
        """The number of the last one that is on that day or in that month, or before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPattern(CalendarPattern):
    """`first`, and every so many days."""

    first: date

    def _day(self, number: int) -> date:
        return self.first + timedelta(days=number * self.every)

    def _number(self, day: date) -> int:
        return (day - self.first).days // self.every


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthPattern(CalendarPattern):
    """Every so many months from `first` on, counted from the year 0; on `day`, or the last day of a shorter month."""

    first: int
    day: int

    def _day(self, number: int) -> date:
        year, month = divmod(self.first + number * self.every, 12)
        return date(year, month + 1, min(self.day, monthrange(year, month + 1)[1]))

    def _number(self, day: date) -> int:
        return (_month_index(day) - self.first) // self.every


def _month_index(day: date) -> int:
    return 12 * day.year + day.month - 1
