"""The `Retry-After` header: seconds or a date (RFC 9110, section 10.2.3). Anything else counts as not sent."""

import re
from datetime import UTC, datetime, timedelta

_SECONDS = re.compile(r"[0-9]{1,9}")
_DATE = "%a, %d %b %Y %H:%M:%S GMT"


def parse(value: str | None, now: datetime) -> timedelta | None:
    """How long the sender wants to be left alone; `None` where it says nothing sensible."""
    if not value:
        return None
    if _SECONDS.fullmatch(value):
        return timedelta(seconds=int(value))
    try:
        until = datetime.strptime(value, _DATE).replace(tzinfo=UTC)
    except ValueError:
        return None
    return until - now if until > now else None
