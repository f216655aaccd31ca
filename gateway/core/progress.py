"""How far a call has come, as far as its target tells."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """So many done of so many, or a percentage; what the target does not say is `None`."""

    current: float | None = None
    total: float | None = None
    percent: float | None = None

    @classmethod
    def told(cls, value: Any) -> Self | None:
        """From a mapping with any of these names, as targets send it; `None` where it tells nothing."""
        if not isinstance(value, Mapping):
            return None
        found = {name: _number(value.get(name)) for name in cls.__slots__}
        return cls(**found) if any(number is not None for number in found.values()) else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _ABSURD else None


_ABSURD = 1e15
