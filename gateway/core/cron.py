"""Cron expressions: the only place that knows their library.

Five fields, or an alias such as `@daily`. A local time that daylight saving skips counts at the first instant after the
gap. A fixed time that occurs twice counts once, the first time; with a wildcard in minutes or hours, both times.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, CroniterError, croniter  # type: ignore[import-untyped]
from pydantic import AfterValidator, BeforeValidator, PlainSerializer

MAX_LENGTH = 256
MAX_YEARS = 8


def parse_cron(text: str) -> str:
    """The expression as it is. Raises `ValueError` for one that is broken, or that means no certain times."""
    if len(text) > MAX_LENGTH:
        raise ValueError(f"longer than {MAX_LENGTH} characters")
    fields = text.split()
    if len(fields) != 5 and not text.startswith("@"):  # noqa: PLR2004 - minute, hour, day, month, weekday
        raise ValueError("expected five fields: minute, hour, day, month, weekday")
    if any(part.upper().startswith(("H", "R")) for field in fields for part in field.split(",")):
        raise ValueError("H and R stand for times that nobody chose")
    try:
        croniter.expand(text, strict=True)
    except CroniterError as error:
        raise ValueError(f"not a cron expression: {error}") from error
    return text


def parse_zone(name: object) -> ZoneInfo:
    """A time zone by its IANA name. Raises `ValueError` for an unknown one."""
    if isinstance(name, ZoneInfo):
        return name
    try:
        return ZoneInfo(str(name))
    except (LookupError, ValueError, OSError) as error:
        raise ValueError("expected a time zone such as UTC or Europe/Amsterdam") from error


Cron = Annotated[str, AfterValidator(parse_cron)]
Zone = Annotated[
    ZoneInfo,
    BeforeValidator(parse_zone, json_schema_input_type=str),
    PlainSerializer(str, return_type=str),
]


def latest(cron: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The last instant at or before `now` (aware), in UTC; `None` if there was none within eight years."""
    after = now.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
    times = croniter(cron, after.astimezone(zone), max_years_between_matches=MAX_YEARS)
    try:
        instant: datetime = times.get_prev(datetime)
    except CroniterBadDateError:
        return None
    is_fixed = "*" not in "".join(times.expressions[:2])
    return (instant.replace(fold=0) if is_fixed else instant).astimezone(UTC)
