"""The wall clock jumps, timers go off early, the gateway stands still or ends: ticks are made as they are due."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
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

LATE = 3  # seconds that a tick may take on a busy machine
BACK = -3 * SECOND
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
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


@pytest.mark.faketime
async def test_t04_the_clock_is_set(tmp_path: Path) -> None:
    """Ahead by an hour, then by a day: the catch-up is bounded, and the rest is on record.

    On another machine, back by some seconds, by an hour, to the beginning of time, and then it is right again: what has
    been made is not made again, and nothing waits for longer than the clock was set back.
    """
    to_the_beginning = EPOCH - datetime.now(UTC)  # noqa: TID251 - the true time
    async with asyncio.TaskGroup() as machines:
        machines.create_task(is_set_ahead(tmp_path / "one", HOUR, HOUR + DAY))
        machines.create_task(is_set_back(tmp_path / "other", BACK, -HOUR, to_the_beginning, timedelta(0)))


@pytest.mark.faketime
async def test_t04_is_tested(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="is doubled"):
        await is_set_back(tmp_path, BACK, defects=["ticks-have-no-key"])


@pytest.mark.faketime
async def test_t05_the_process_stands_still(tmp_path: Path) -> None:
    """For twelve periods, five times as fast."""
    url = f"sqlite:///{tmp_path}/gateway.db"
    async with TargetServer() as ticked:
        config = scheduled(ticked, url, POLICIES, server={"lease": "1m"})
        [node] = nodes_of(config, tmp_path, env=beginning_at(NOON, speed=5))
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
        assert history.comes_one_by_one(late=SECOND)


async def test_t06_restarted_around_its_ticks(tmp_path: Path) -> None:
    await survives_restarts(tmp_path, GatewayProcess.terminate, count=3)


@pytest.mark.soak
@pytest.mark.parametrize("end", [killed, GatewayProcess.terminate])
async def test_t06_restarted_around_its_ticks_all_the_time(tmp_path: Path, end: End) -> None:
    await survives_restarts(tmp_path, end, count=100)
