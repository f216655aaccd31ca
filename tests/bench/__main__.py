"""`python -m tests.bench [--only FIGURE]… [--profile]`: one table of figures, each a ratio taken in the same run.

What is measured has one core, the load generator (with the target) another. Other work on the machine disturbs that.
Goals that are not met are no errors: figures are no tests.
"""

import argparse
import asyncio
import pstats
import signal
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench import accepted, backlog, consumed, delivered, footprint, schedules
from tests.bench.table import Figure, print_figures

MEASURES = {
    "accepted": accepted.measure,
    "delivered": delivered.measure,
    "consumed": consumed.measure,
    "backlog": backlog.measure,
    "footprint": footprint.measure,
    "schedules": schedules.measure,
}
PROFILED = ("accepted", "consumed", "delivered")
PROFILE_LINES = 40


async def _measure(name: str, folder: Path, *, profiled: bool) -> list[Figure]:
    profile = folder / f"{name}.profile" if profiled and name in PROFILED else None
    figures = await MEASURES[name](folder, profile)
    if profile:
        pstats.Stats(str(profile)).strip_dirs().sort_stats("tottime").print_stats(PROFILE_LINES)
    return figures


async def _main(names: list[str], *, profiled: bool) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # so that it takes its programs with it
    figures: list[Figure] = []
    with TemporaryDirectory(prefix="gateway-bench-") as folder:
        for name in names:
            figures += await _measure(name, Path(folder), profiled=profiled)
    print_figures(figures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measures the gateway.")
    parser.add_argument("--only", action="append", choices=MEASURES, help="this figure; may be repeated")
    parser.add_argument("--profile", action="store_true", help="the gateway under cProfile; slows it down")
    arguments = parser.parse_args()
    asyncio.run(_main(arguments.only or list(MEASURES), profiled=arguments.profile))
