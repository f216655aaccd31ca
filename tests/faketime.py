"""Environments in which libfaketime tells a process another time than everybody else's."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.servers.install import libfaketime


def beginning_at(start: datetime, *, speed: float = 1) -> dict[str, str]:
    """Each process begins at this instant, and all its clocks and time-outs go so much faster."""
    return {**_preloaded(), "TZ": "UTC", "FAKETIME": f"@{start.astimezone(UTC):%F %T} x{speed:g}"}


class WallClock:
    """A wall clock for several processes, to be set while they run; their monotonic clocks are the true ones."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._file = folder / "faketime"
        self.set(ahead=timedelta(0))
        self.env = {
            **_preloaded(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, *, ahead: timedelta) -> None:
        """So far ahead of the true time; behind it where that is negative."""
        written = self._file.with_suffix(".new")
        written.write_text(f"{ahead.total_seconds():+.0f}")
        os.replace(written, self._file)  # noqa: PTH105 - in one step, as a process may be reading it


def _preloaded() -> dict[str, str]:
    # With the fix, which is for other versions of glibc, threads that wait for a while don't wait at all.
    return {"LD_PRELOAD": str(libfaketime()), "FAKETIME_FORCE_MONOTONIC_FIX": "0"}
