"""Nights in which the clock is moved, lived through by real gateways whose time passes faster."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from tests.faketime import beginning_at
from tests.faults.tick_history import tick_histories
from tests.gateways import nodes_of, running, scheduled
from tests.target_server import TargetServer

pytestmark = pytest.mark.faketime

STARTS, LATE = 6.0, 3.0  # true seconds in which a gateway starts, and that a tick may take, on a busy machine
EVERY = timedelta(minutes=20)
CRONS = {
    "fixed": "30 2 * * *",
    "stepping": "*/20 2 * * *",
    "several": "0,30 2-3 * * *",
    "hourly": "30 * * * *",
    "quarterly": "*/15 * * * *",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One in Berlin in which the clock is moved at 01:00 UTC; what is due in it from 00:00 to 03:00 UTC."""

    day: datetime
    due: Mapping[str, str]

    def at(self, text: str) -> datetime:
        return datetime.combine(self.day, time.fromisoformat(text), UTC)

    def instants(self, name: str, since: str, until: str) -> list[datetime]:
        """Of a schedule, in [since, until)."""
        return [self.at(text) for text in self.due[name].split() if since <= text < until]


SPRING = Night(
    day=datetime(2026, 3, 29, tzinfo=UTC),
    due={
        "fixed": "01:00",
        "stepping": "01:00",
        "several": "01:00 01:30",
        "hourly": "00:30 01:30 02:30",
        "quarterly": "00:00 00:15 00:30 00:45 01:00 01:15 01:30 01:45 02:00 02:15 02:30 02:45",
    },
)
AUTUMN = Night(
    day=datetime(2026, 10, 25, tzinfo=UTC),
    due={
        "fixed": "00:30",
        "stepping": "00:00 00:20 00:40 01:00 01:20 01:40",
        "several": "00:00 00:30 02:00 02:30",
        "hourly": "00:30 01:30 02:30",
        "quarterly": "00:00 00:15 00:30 00:45 01:00 01:15 01:30 01:45 02:00 02:15 02:30 02:45",
    },
)


async def passes(night: Night, folder: Path, *, since: str, until: str, speed: float) -> None:
    """A gateway lives through it, from one time in UTC to another, and is there a little earlier."""
    begin, end, url = night.at(since), night.at(until), f"sqlite:///{folder}.db"
    early, late = (timedelta(seconds=seconds * speed) for seconds in (STARTS, LATE))
    schedules = {name: {"cron": cron, "timezone": "Europe/Berlin"} for name, cron in CRONS.items()}
    async with TargetServer() as target:
        config = scheduled(target, url, {**schedules, "interval": {"interval": "20m"}}, server={"lease": "5m"})
        [node] = nodes_of(config, folder, env=beginning_at(begin - early, speed=speed))
        over = asyncio.get_running_loop().time() + (end - begin + early).total_seconds() / speed
        async with running(node):
            await asyncio.sleep(over - asyncio.get_running_loop().time())
        calls = [(call.json["schedule"], call.json["instant"]) for call in target.calls]
    assert len(set(calls)) == len(calls)
    histories = await tick_histories(url)
    histories["interval"].check(EVERY)
    for name, history in histories.items():
        assert history.comes_one_by_one(late=late), history
        if name in CRONS:
            instants = [instant for instant in history.instants if begin <= instant < end]
            assert instants == night.instants(name, since, until), name


async def both_pass(folder: Path, *, since: str, until: str, speed: float) -> None:
    """At the same time."""
    async with asyncio.TaskGroup() as nights:
        for night in (SPRING, AUTUMN):
            nights.create_task(passes(night, folder / f"{night.day:%B}", since=since, until=until, speed=speed))


async def test_t03_the_clock_is_moved(tmp_path: Path) -> None:
    await both_pass(tmp_path, since="00:25", until="01:35", speed=240)


@pytest.mark.soak
async def test_t03_whole_nights(tmp_path: Path) -> None:
    await both_pass(tmp_path, since="00:00", until="02:59", speed=60)
