"""How far a call has come, as far as its target tells."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """So many done of so many, or a percentage; what the target does not say is `None`."""

    current: float | None = None
    total: float | None = None
    percent: float | None = None
