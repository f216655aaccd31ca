"""What a process takes while it works: memory and open files, over time."""

import asyncio
import time
from statistics import linear_regression, median
from typing import Self

import psutil

EVERY = 2.0  # seconds
MINUTE = 60.0
MIB = 2**20


class Footprint:
    """Measured until the `async with` block is left."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.minutes: list[float] = []
        self.memory: list[float] = []  # MiB
        self.files: list[int] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._measure_on())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _measure_on(self) -> None:
        while True:
            self.minutes.append(time.monotonic() / MINUTE)
            self.memory.append(self._process.memory_info().rss / MIB)
            self.files.append(self._process.num_fds())
            await asyncio.sleep(EVERY)

    @property
    def growth(self) -> float:
        """MiB a minute, once the first half is over, in which caches and pools fill."""
        half = len(self.minutes) // 2
        return linear_regression(self.minutes[half:], self.memory[half:]).slope

    @property
    def more_files(self) -> float:
        """How many more are open in the last quarter than in the one before it."""
        quarter = len(self.files) // 4
        return median(self.files[-quarter:]) - median(self.files[-2 * quarter : -quarter])
