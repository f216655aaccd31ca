"""Cron expressions: the only place that knows their library.

Five fields, or an alias such as `@daily`. A local time that daylight saving skips counts at the first instant after the
gap; a fixed time that occurs twice counts once, the first time.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, CroniterError, croniter
from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from gateway.core.errors import did_you_mean
