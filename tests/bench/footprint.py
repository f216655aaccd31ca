"""What a gateway costs that has nothing to do: memory once it has settled, and the time until it is ready."""

import asyncio
import time
from pathlib import Path

import psutil

from tests.bench.netbox import configuration
from tests.bench.programs import gateway
from tests.bench.table import Figure, Round

ROUNDS = 3
SETTLE_SECONDS = 2
TARGET = {"url": "http://127.0.0.1:9/"}


async def measure(folder: Path, profile: Path | None) -> list[Figure]:
    rounds = [await _start(folder / f"footprint-{number}") for number in range(ROUNDS)]
    return [
        Figure(name="idle memory", unit="MiB", rounds=[memory for memory, _ in rounds], goal=90),
        Figure(name="start to ready, with a new database", unit="s", rounds=[ready for _, ready in rounds], goal=1.5),
    ]


async def _start(folder: Path) -> tuple[Round, Round]:
    config = configuration("sqlite:///gateway.db", TARGET)
    began = time.monotonic()
    async with gateway(config, folder) as process:
        ready = time.monotonic() - began
        await asyncio.sleep(SETTLE_SECONDS)
        memory = psutil.Process(process.pid).memory_info().rss / 2**20
    return Round(measured=memory), Round(measured=ready)
