"""The wall clock jumps, stands still and repeats itself, and so does the gateway: ticks go by what is due."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.faketime import WallClock, beginning_at
from tests.faults.ledger import Ledger
from tests.faults.load import Load
from tests.faults.restarts import End, killed, survives_restarts
from tests.faults.tick_history import TickHistory, tick_histories
from tests.gateway_client import GatewayClient
from tests.gateway_process import GatewayProcess
from tests.gateways import Settings, nodes_of, running, scheduled
from tests.target_server import TargetServer
from tests.waiting import until

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)

LATE = 3.0  # true seconds that a tick may take on a busy machine
EVERY = timedelta(minutes=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One in Berlin in which the clock is moved at 01:00 UTC, and what cron expressions mean in it, from 23:20 on."""

    day: datetime
    ticks: Mapping[str, str]

    def instants(self, cron: str, since: datetime, until: datetime) -> list[datetime]:
        """Those that are due in [since, until)."""
        instants = [datetime.combine(self.day, time.fromisoformat(tick), UTC) for tick in self.ticks[cron].split()]
        return [instant for instant in instants if since <= instant < until]


SPRING = Night(
    day=datetime(2026, 3, 29, tzinfo=UTC),
    ticks={
        "30 2 * * *": "01:00",
        "*/20 2 * * *": "01:00",
        "0,30 2-3 * * *": "01:00 01:30",
        "30 * * * *": "00:30 01:30 02:30",
        "*/15 * * * *": "00:00 00:15 00:30 00:45 01:00 01:15 01:30 01:45 02:00 02:15 02:30 02:45",
    },
)
AUTUMN = Night(
    day=datetime(2026, 10, 25, tzinfo=UTC),
    ticks={
        "30 2 * * *": "00:30",
        "*/20 2 * * *": "00:00 00:20 00:40 01:00 01:20 01:40",
        "0,30 2-3 * * *": "00:00 00:30 02:00 02:30",
        "30 * * * *": "00:30 01:30 02:30",
        "*/15 * * * *": "00:00 00:15 00:30 00:45 01:00 01:15 01:30 01:45 02:00 02:15 02:30 02:45",
    },
)


async def passes(night: Night, folder: Path, *, since: str, until: str, speed: float) -> None:
    """A gateway lives through it, from one time in UTC to another, and is there a little earlier."""
    late = timedelta(seconds=LATE * speed)
    begin, end = (datetime.combine(night.day, time.fromisoformat(text), UTC) for text in (since, until))
    url = f"sqlite:///{folder}.db"
    timings = {cron: {"cron": cron, "timezone": "Europe/Berlin"} for cron in night.ticks}
    async with TargetServer() as target:
        schedules = {f"cron-{number}": timing for number, timing in enumerate(timings.values())}
        config = scheduled(target, url, {**schedules, "interval": {"interval": "20m"}}, server={"lease": "5m"})
        [node] = nodes_of(config, folder, env=beginning_at(begin - late, speed=speed))
        async with running(node):
            await asyncio.sleep((end - begin + late).total_seconds() / speed)
        histories = await tick_histories(url)
        for number, cron in enumerate(timings):
            seen = [instant for instant in histories[f"cron-{number}"].instants if begin <= instant < end]
            assert seen == night.instants(cron, begin, end), cron
        histories["interval"].check(EVERY)
        for history in histories.values():
            come_one_by_one(history, late)
        calls = [(call.json["schedule"], call.json["instant"]) for call in target.calls]
        assert len(set(calls)) == len(calls)


def come_one_by_one(history: TickHistory, late: timedelta) -> None:
    assert not history.skips
    assert all(tick.missed == 0 and timedelta(0) <= tick.late_by < late for tick in history.made), history.made


async def test_t03_the_clock_is_moved(tmp_path: Path) -> None:
    """Around the transition, in both directions at the same time."""
    async with asyncio.TaskGroup() as nights:
        for night in (SPRING, AUTUMN):
            folder = tmp_path / f"{night.day:%B}"
            nights.create_task(passes(night, folder, since="00:25", until="01:35", speed=240))


@pytest.mark.soak
async def test_t03_whole_nights(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as nights:
        for night in (SPRING, AUTUMN):
            nights.create_task(passes(night, tmp_path / f"{night.day:%B}", since="00:15", until="02:50", speed=60))


BACK = -3 * SECOND
EPOCH = datetime(1970, 1, 2, tzinfo=UTC)
MAX = 5  # that one of the policies catches up with
POLICIES: Mapping[str, Settings] = {
    "once": {"interval": "1s", "overlap": "allow"},
    "all": {"interval": "1s", "overlap": "allow", "misfire": {"policy": "all", "max": MAX}},
    "skip": {"interval": "1s", "overlap": "allow", "misfire": {"policy": "skip"}},
}


def beside_webhooks(ticked: TargetServer, hooked: TargetServer, url: str) -> dict[str, Any]:
    config = scheduled(ticked, url, POLICIES)
    config["targets"]["hooked"] = {"kind": "http", "url": hooked.url, "concurrency": 8}
    config["triggers"]["every"]["target"] = "hooked"
    return config


async def go_on(ticked: TargetServer, *, ticks: int = 2) -> None:
    """Waits until all schedules have ticked so many times more."""
    before = len(ticked.calls)

    async def slowest() -> bool:
        since = Counter(call.json["schedule"] for call in ticked.calls[before:])
        return min(since[name] for name in POLICIES) >= ticks

    await until(slowest, True, "ticks go on", seconds=10)


def silences(ticked: TargetServer, name: str) -> list[float]:
    """Seconds between the calls of a schedule, the longest first."""
    arrivals = [call.at for call in ticked.calls if call.json["schedule"] == name]
    return sorted((later - earlier for earlier, later in pairwise(arrivals)), reverse=True)


async def lives_through(
    folder: Path, ticked: TargetServer, *ahead: timedelta, defects: Sequence[str] = ()
) -> Mapping[str, TickHistory]:
    """The clock is set after some ticks, again and again, and no webhook takes notice."""
    clock, url = WallClock(folder), f"sqlite:///{folder}/gateway.db"
    async with TargetServer() as hooked:
        [node] = nodes_of(beside_webhooks(ticked, hooked, url), folder, env=clock.env, broken=defects)
        async with running(node), GatewayClient(node.url) as client:
            async with Load([node.url]) as load:
                await go_on(ticked, ticks=4)
                for one in ahead:
                    clock.set(ahead=one)
                    await go_on(ticked)
            await Ledger(load.accepted, hooked).check(client, repeatable=0)
    return await tick_histories(url)


async def is_set_ahead(folder: Path, *ahead: timedelta) -> None:
    async with TargetServer() as ticked:
        histories = await lives_through(folder, ticked, *ahead)
    catches_up(histories, times=len(ahead), missing=HOUR // SECOND)


def catches_up(histories: Mapping[str, TickHistory], *, times: int, missing: int) -> None:
    """So many times with at least so many ticks, by the policy of each schedule."""
    for history in histories.values():
        history.check(SECOND)
    once, each, punctual = (histories[name].made for name in POLICIES)
    assert len([tick for tick in once if tick.missed > missing - MAX]) == times
    assert MAX <= len([tick for tick in each if tick.late_by > SECOND]) + times <= times * MAX + times
    assert all(tick.late_by < MAX * SECOND for tick in punctual)


async def is_set_back(folder: Path, *ahead: timedelta, defects: Sequence[str] = ()) -> None:
    async with TargetServer() as ticked:
        histories = await lives_through(folder, ticked, *ahead, defects=defects)
    for name, history in histories.items():
        assert len(set(history.instants)) == len(history.instants), f"{name} is doubled"
        assert silences(ticked, name)[0] < LATE - BACK / SECOND
        assert len([tick for tick in history.made if tick.late_by > SECOND]) <= MAX


async def test_t04_the_clock_is_set(tmp_path: Path) -> None:
    """Ahead by an hour, then by a day: the catch-up is bounded, and the rest is on record.

    On another machine, back by some seconds, by an hour, to the beginning of time, and then it is right again: what has
    been made is not made again, and nothing waits for longer than the clock was set back.
    """
    to_the_beginning = EPOCH - datetime.now(UTC)  # noqa: TID251 - the true time
    async with asyncio.TaskGroup() as machines:
        machines.create_task(is_set_ahead(tmp_path / "one", HOUR, HOUR + DAY))
        machines.create_task(is_set_back(tmp_path / "other", BACK, -HOUR, to_the_beginning, timedelta(0)))


async def test_t04_is_tested(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="is doubled"):
        await is_set_back(tmp_path, BACK, defects=["ticks-have-no-key"])


async def test_t05_the_process_stands_still(tmp_path: Path) -> None:
    """For twelve periods, five times as fast."""
    url = f"sqlite:///{tmp_path}/gateway.db"
    async with TargetServer() as ticked:
        config = scheduled(ticked, url, POLICIES, server={"lease": "1m"})
        [node] = nodes_of(config, tmp_path, env=beginning_at(SPRING.day, speed=5))
        async with running(node):
            await go_on(ticked)
            node.stop()
            await asyncio.sleep(12 / 5)
            node.cont()
            await go_on(ticked)
    catches_up(await tick_histories(url), times=1, missing=12)


async def test_t07_timers_go_off_early(tmp_path: Path) -> None:
    """By 20 ms: no tick comes before its time, none twice, and none is taken for done."""
    url = f"sqlite:///{tmp_path}/gateway.db"
    async with TargetServer() as ticked:
        [node] = nodes_of(scheduled(ticked, url, POLICIES), tmp_path, broken=["wakes-early"])
        async with running(node):
            await go_on(ticked, ticks=3)
    for history in (await tick_histories(url)).values():
        history.check(SECOND)
        come_one_by_one(history, late=SECOND)


async def test_t06_restarted_around_its_ticks(tmp_path: Path) -> None:
    await survives_restarts(tmp_path, GatewayProcess.terminate, count=3)


@pytest.mark.soak
@pytest.mark.parametrize("end", [killed, GatewayProcess.terminate])
async def test_t06_restarted_around_its_ticks_all_the_time(tmp_path: Path, end: End) -> None:
    await survives_restarts(tmp_path, end, count=100)
