"""How far a run has come, for people."""

from collections.abc import Mapping
from typing import Any

Progress = Mapping[str, Any]


def in_words(progress: Progress | None) -> str | None:
    """Such as `30 % (3 of 10)`, as much of it as is known."""
    percent, count = percent_of(progress), _count(progress or {})
    if percent is None:
        return count
    return f"{percent:.0f} %" + (f" ({count})" if count else "")


def percent_of(progress: Progress | None) -> float | None:
    """From 0 to 100, where that can be told."""
    current, total, percent = (_number((progress or {}).get(name)) for name in ("current", "total", "percent"))
    if percent is None and current is not None and total:
        percent = 100 * current / total
    return None if percent is None else min(max(percent, 0.0), 100.0)


def _count(progress: Progress) -> str | None:
    current, total = (_number(progress.get(name)) for name in ("current", "total"))
    if current is None:
        return None
    return f"{current:,.12g}" if total is None else f"{current:,.12g} of {total:,.12g}"


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
