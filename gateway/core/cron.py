"""Cron expressions: the only place that knows their library.

Five fields: minute, hour, day of month, month, weekday; or six with the second before them, as in Quartz and Spring; or
an alias such as `@daily`. `H` is a value that is made from the schedule's name, so that not all start at once.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, CroniterError, croniter  # type: ignore[import-untyped]
from pydantic import AfterValidator

from gateway.core.local_time import SECOND, LocalTimes

MAX_LENGTH = 256
MAX_YEARS = 8
_REFERENCE = date(2026, 1, 1)  # whether an expression is accepted must not depend on when
_DAY = timedelta(days=1)
_HOURS = 24
_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_SUNDAY = 7  # where a range ends on it
_SAFE_DAY = 28  # which every month has


class _Field(NamedTuple):
    """One of the fields of an expression; `words` are what may stand for numbers."""

    name: str
    lowest: int
    highest: int
    words: Mapping[str, int] = {}
    also: str = ""

    def number(self, text: str) -> int | None:
        """The value that a text stands for, if it does for one."""
        value = self.words.get(text, int(text) if text.isdigit() else -1)
        return value if self.lowest <= value <= self.highest else None


_DAY_OF_MONTH = _Field("day of month", 1, 31, {"l": 31}, ", L or 15W")
_WEEKDAY = _Field("weekday", 0, 7, {name: i for i, name in enumerate(_WEEKDAYS)}, ", sun-sat, fri#2 or L5")
_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _DAY_OF_MONTH,
    _Field("month", 1, 12, {name: i for i, name in enumerate(_MONTHS, 1)}, " or jan-dec"),
    _WEEKDAY,
)
_RANGE = re.compile(r"(?P<low>\w+)-(?P<high>\w+)(?:/(?P<step>\d+))?(?P<nth>#\d)?", re.ASCII)
_HASHED_DAY = re.compile(r"h(\(\d+-(?P<last>\d+)\))?(/(?P<step>\d+))?", re.ASCII)


def parse_cron(text: str) -> str:
    """The expression without space around it. Raises `ValueError` for one that is broken, or that never fires."""
    if len(text) > MAX_LENGTH:
        raise ValueError(f"longer than {MAX_LENGTH} characters")
    if not text.isascii() or not text.replace("\t", " ").isprintable():
        raise ValueError("has characters in it that no cron expression has")
    _compiled(text.strip(), "")
    return text.strip()


Cron = Annotated[str, AfterValidator(parse_cron)]


def is_hashed(cron: str) -> bool:
    """Whether the times depend on the schedule's name."""
    return any(field.startswith("h") for field in _written(cron))


@dataclass(frozen=True, slots=True)
class CronPattern:
    """What an expression means: values for the parts of a time of day, and on which days.

    `days` are its fields for the day of month, the month and the weekday; `None` is every day.
    """

    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]
    days: str | None
    is_fixed: bool

    @property
    def is_every_hour(self) -> bool:
        return len(self.hours) == _HOURS

    def following(self, local: datetime) -> datetime | None:
        today = local.date()
        day = _day_from(self.days, today)
        if day == today and (later := self._later(local.hour, local.minute, local.second)):
            return datetime.combine(today, later)
        if day == today:
            day = _day_from(self.days, today + _DAY)
        return datetime.combine(day, time(self.hours[0], self.minutes[0], self.seconds[0])) if day else None

    def count(self, begin: datetime, end: datetime) -> int:
        if begin >= end:
            return 0
        days = _count_days(self.days, begin.date(), end.date())
        return days * len(self.hours) * len(self.minutes) * len(self.seconds) + self._gone(end) - self._gone(begin)

    def _later(self, hour: int, minute: int, second: int) -> time | None:
        """The next time of the same day."""
        if hour in self.hours:
            if minute in self.minutes and (later := _above(self.seconds, second)) is not None:
                return time(hour, minute, later)
            if (later := _above(self.minutes, minute)) is not None:
                return time(hour, later, self.seconds[0])
        if (later := _above(self.hours, hour)) is not None:
            return time(later, self.minutes[0], self.seconds[0])
        return None

    def _gone(self, local: datetime) -> int:
        """How many there are on that day before that time."""
        if _day_from(self.days, local.date()) != local.date():
            return 0
        hours, minutes, seconds = (
            bisect_left(values, value)
            for values, value in ((self.hours, local.hour), (self.minutes, local.minute), (self.seconds, local.second))
        )
        if local.hour not in self.hours:
            return hours * len(self.minutes) * len(self.seconds)
        if local.minute not in self.minutes:
            return (hours * len(self.minutes) + minutes) * len(self.seconds)
        return (hours * len(self.minutes) + minutes) * len(self.seconds) + seconds


def cron_times(cron: str, zone: ZoneInfo, name: str = "") -> LocalTimes:
    """When an expression fires in a zone; `name` is what `H` is made from."""
    return LocalTimes(_compiled(cron, name if is_hashed(cron) else ""), zone)


@lru_cache(maxsize=4096)
def _compiled(cron: str, name: str) -> CronPattern:
    """The meaning of an expression; a large site has many schedules and few different expressions."""
    written = _written(cron)
    fields = [_normal(field, text) for field, text in zip(_FIELDS[-len(written) :], written, strict=True)]
    minutes, hours, *days, seconds = _expanded(written, fields, name)
    pattern = CronPattern(
        hours=_values(hours, _HOURS),
        minutes=_values(minutes, 60),
        seconds=_values(seconds, 60),
        days=None if days == [["*"]] * 3 else " ".join(map(_resolved, fields[-3:], days)),
        is_fixed="*" not in "".join(written[-5:-3]),
    )
    if _day_from(pattern.days, _REFERENCE) is None:
        raise ValueError(f"does not fire within {MAX_YEARS} years")
    return pattern


def _written(cron: str) -> list[str]:
    """The fields as written, in lower case."""
    text = cron.lower()
    if text.startswith("@") and text not in _ALIASES:
        raise ValueError(f"expected one of {', '.join(_ALIASES)}, or five fields")
    fields = _ALIASES.get(text, text).split()
    if len(fields) not in (5, 6):
        raise ValueError("expected five fields: minute, hour, day, month, weekday; or six, second first")
    return fields


def _normal(field: _Field, text: str) -> str:
    """A field such that the library cannot misread it: to it, 5-5 is everything, and 22-2 goes around midnight."""
    if text.startswith("r"):
        raise ValueError(f"{field.name} {text!r} would be a time that nobody knows; H is one made from the name")
    if text.startswith("h") and field is _DAY_OF_MONTH:
        return _normal_hash(text)
    return ",".join(_normal_item(field, item) for item in text.split(","))


def _normal_hash(text: str) -> str:
    """A day made from the name, which every month has."""
    match = _HASHED_DAY.fullmatch(text)
    if match and max(int(match["last"] or 0), int(match["step"] or 0)) > _SAFE_DAY:
        raise ValueError(f"day of month {text!r} may be one that not every month has: write H(1-{_SAFE_DAY})")
    return f"h(1-{_SAFE_DAY})" if text == "h" else text


def _normal_item(field: _Field, item: str) -> str:
    match = _RANGE.fullmatch(item)
    if match is None:
        return item
    low, high, step = field.number(match["low"]), field.number(match["high"]), int(match["step"] or 1)
    if low is None or high is None or step == 0:
        return item  # whatever it is, the library says whether it is one
    if field is _WEEKDAY and high == 0 < low:
        high = _SUNDAY
    if low > high:
        top = 6 if field is _WEEKDAY else field.highest
        raise ValueError(f"{field.name} {item!r} is empty: write {_span(low, top)},{_span(field.lowest, high)}")
    if low < high and field is not _WEEKDAY:
        return item
    return ",".join(f"{value}{match['nth'] or ''}" for value in range(low, high + 1, step))


def _span(low: int, high: int) -> str:
    return f"{low}-{high}" if low < high else str(low)


def _expanded(written: list[str], fields: list[str], name: str) -> list[list[int | str]]:
    """The values of minute, hour, day of month, month, weekday and second.

    Each field has a hash of its own: from one for all, hours would follow from minutes.
    """
    hashed = [index for index, field in enumerate(_in_order(fields)) if field.startswith("h")]
    try:
        expanded = _expand(fields, name)
        for index in hashed:
            expanded[index] = _expand(fields, f"{name} {index}")[index]
    except CroniterError as error:
        raise ValueError(_reason(written, fields)) from error
    return expanded if len(expanded) == len(_FIELDS) else [*expanded, [0]]


def _in_order(fields: list[str]) -> list[str]:
    """As the library returns them: the second last."""
    return fields if len(fields) < len(_FIELDS) else [*fields[1:], fields[0]]


def _expand(fields: list[str], name: str) -> list[list[int | str]]:
    expanded: list[list[int | str]]
    expanded, _ = croniter.expand(" ".join(fields), hash_id=name.encode(), second_at_beginning=True, strict=True)
    return expanded


def _reason(written: list[str], fields: list[str]) -> str:
    """What is wrong, in fewer words than the library has for it: the first field that is refused by itself."""
    for field, text, normal in zip(_FIELDS[-len(fields) :], written, fields, strict=True):
        alone = " ".join(normal if other is field else "*" for other in _FIELDS)
        try:
            croniter.expand(alone, hash_id=b"", second_at_beginning=True)
        except CroniterError:
            return f"{field.name} {text!r} is not understood, expected {field.lowest}-{field.highest}{field.also}"
    return "there is no such day"


def _values(expanded: list[int | str], size: int) -> tuple[int, ...]:
    return tuple(range(size)) if expanded == ["*"] else tuple(sorted(map(int, expanded)))


def _resolved(text: str, values: list[int | str]) -> str:
    """A field without `H`."""
    return ",".join(map(str, values)) if text.startswith("h") else text


def _above(values: tuple[int, ...], value: int) -> int | None:
    at = bisect_right(values, value)
    return values[at] if at < len(values) else None


def _count_days(days: str | None, begin: date, end: date) -> int:
    """How many of [begin, end) it fires on."""
    if days is None:
        return (end - begin).days
    count, day = 0, _day_from(days, begin)
    while day and day < end:
        count, day = count + 1, _day_from(days, day + _DAY)
    return count


def _day_from(days: str | None, day: date) -> date | None:
    """The first day it fires on, from a day on; `None` if there is none within `MAX_YEARS`."""
    return day if days is None else _found_day(days, day)


@lru_cache(maxsize=65_536)
def _found_day(days: str, day: date) -> date | None:
    midnight = datetime.combine(day, time())
    try:
        found: datetime = copy(_calendar(days)).get_next(datetime, start_time=midnight - SECOND)
    except CroniterBadDateError:
        return None
    return found.date()


@lru_cache(maxsize=1024)
def _calendar(days: str) -> croniter:
    return croniter(f"0 0 {days}", datetime(1970, 1, 1), max_years_between_matches=MAX_YEARS)  # noqa: DTZ001 - local
