"""Durations and sizes as people write them: `45s`, `2h30m`, `7d`; `1MiB`."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

_SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|[wdhms]))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[wdhms])", re.ASCII)
_BYTES = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_SIZE = re.compile(r"(\d+)\s*([KMG]i?B|B|)", re.ASCII)
MAX_DURATION = timedelta(days=36500)
_MAX_LENGTH = 40


def parse_duration(text: Any) -> timedelta:
    """`2h30m` as a timedelta of whole milliseconds.

    Raises `ValueError` for anything else, bare numbers included: they have no unit.
    """
    if isinstance(text, timedelta):
        return text
    if text == 0 and not isinstance(text, bool):
        return timedelta(0)
    if not isinstance(text, str) or len(text) > _MAX_LENGTH or not _DURATION.fullmatch(text):
        raise ValueError(f"expected a duration such as 45s, 2h30m or 7d, got {text!r:.60}")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if seconds > MAX_DURATION.total_seconds():
        raise ValueError(f"longer than a hundred years: {text}")
    return timedelta(milliseconds=round(seconds * 1000))


def format_duration(value: timedelta) -> str:
    """The shortest way to write a duration, such as `2h30m`; what `parse_duration` reads back."""
    milliseconds = round(value.total_seconds() * 1000)
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_size(text: Any) -> int:
    """`1MiB` as a number of bytes. Raises `ValueError` for anything else; a bare number is bytes."""
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return text
    match = _SIZE.fullmatch(text) if isinstance(text, str) and len(text) <= _MAX_LENGTH else None
    if not match:
        raise ValueError(f"expected a size such as 512KiB or 1MiB, got {text!r:.60}")
    return int(match[1]) * _BYTES[match[2]]


DurationText = Annotated[str, Field(pattern=f"^{_DURATION.pattern}$", max_length=_MAX_LENGTH)]
Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration, json_schema_input_type=DurationText),
    PlainSerializer(format_duration, return_type=str),
]
Size = Annotated[int, BeforeValidator(parse_size, json_schema_input_type=int | str)]
