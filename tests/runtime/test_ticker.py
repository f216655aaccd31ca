"""The clock of all schedules, on a real database whose time passes when a test says so."""

import asyncio
import zoneinfo
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, update
from structlog.testing import capture_logs

from gateway.core.ids import new_id
from gateway.runtime import ticker as ticker_module
from gateway.runtime import ticks as ticks_module
from gateway.runtime.leadership import Leadership
from gateway.runtime.lease import Lease
from gateway.runtime.snapshot import Current, Snapshot
from gateway.runtime.ticker import Ticker
from gateway.runtime.ticks import forget_zones
from gateway.store.accept import Acceptance
from gateway.store.clock import from_now
from gateway.store.database import Database
from gateway.store.leadership import Leading, who_leads
from gateway.store.schedules import due_schedules, file_schedules, find_schedule, next_look
from gateway.store.schema import leadership, schedules
from tests.faults.mutations import module_with
from tests.store.clockwork import NIGHTLY, Clockwork, configured
from tests.store.scene import HOUR, MINUTE, NOW, SECOND, TARGET, opened
from tests.waiting import until

LENGTH = timedelta(seconds=30)
DAY = timedelta(days=1)


@dataclass
class Leader:
    """A node that leads the clock, and ticks; `do` is what people do to schedules meanwhile."""

    do: Clockwork
    current: Current
    leadership: Leadership
    ticker: Ticker
    woken: list[str] = field(default_factory=list)

    @property
    def database(self) -> Database:
        return self.do.scene.database

    @property
    def now(self) -> datetime:
        return self.do.scene.now

    async def use(self, snapshot: Snapshot) -> None:
        """Has this configuration in force."""
        self.current.snapshot = snapshot
        self.ticker.wake()
        await until(self._has_followed, True, "the file is followed")

    async def _has_followed(self) -> bool:
        return self.ticker._followed is self.current.snapshot

    async def pass_by(self, span: timedelta = timedelta(0)) -> None:
        """Lets time pass, and all be done that is due then."""
        self.do.scene.wait(span)
        self.ticker.wake()
        await until(self._looked_at, self.now, "the clock is looked at")
        await until(self._is_idle, True, "everything is looked at")

    async def _looked_at(self) -> datetime:
        return self.ticker._last_now

    async def _is_idle(self) -> bool:
        return not await due_schedules(self.database, self.now, 1)

    async def step(self, count: int, span: timedelta = MINUTE) -> None:
        for _ in range(count):
            await self.pass_by(span)


@asynccontextmanager
async def leading(url: str, patch: pytest.MonkeyPatch) -> AsyncIterator[Leader]:
    async with opened(url) as scene:

        async def look(database: Database) -> tuple[datetime, datetime | None]:
            return scene.now, (await next_look(database))[1]

        patch.setattr(ticker_module, "next_look", look)
        lease = Lease(scene.database, configured(), LENGTH)
        await lease.acquire()
        lead = Leadership(scene.database, lease, LENGTH)
        current, woken = Current(configured()), list[str]()

        def wake(names: Iterable[str]) -> None:
            woken.extend(names)

        ticker = Ticker(scene.database, current, lead, wake)
        clockwork = Clockwork(scene, Leading(node_id=lease.node.id, epoch=0))
        tasks = [asyncio.create_task(lead.run()), asyncio.create_task(ticker.run())]
        try:
            clockwork.leading = await asyncio.wait_for(lead.gained(), 10)
            yield Leader(clockwork, current, lead, ticker, woken)
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task


@pytest.fixture
async def leader(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Leader]:
    async with leading(database_url, monkeypatch) as one:
        yield one


@pytest.fixture
async def postgres_leader(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Leader]:
    async with leading(postgres_url, monkeypatch) as one:
        yield one


async def test_what_is_due_is_made_and_the_dispatcher_woken(leader: Leader) -> None:
    await leader.do.create()
    await leader.pass_by()
    assert (await leader.do.ticks(), leader.woken) == ([], [])
    await leader.pass_by(MINUTE)

    assert await leader.do.ticks() == [NOW + MINUTE]
    assert leader.woken == [TARGET]


async def test_the_file_is_followed(leader: Leader) -> None:
    await leader.use(configured(schedules={"a": {}, "b": {"enabled": False}}))
    before = await file_schedules(leader.database)
    assert sorted(before) == ["a", "b"]
    await leader.use(configured(schedules={"a": {}, "c": {}}))
    await leader.pass_by(MINUTE)

    after = await file_schedules(leader.database)
    assert sorted(after) == ["a", "c"]
    assert [len(await leader.do.ticks(name)) for name in ("a", "b", "c")] == [1, 0, 1]
    kept = await find_schedule(leader.database, "a")
    assert kept is not None
    assert kept.version == 1


async def test_triggers_hear_of_ticks(leader: Leader) -> None:
    triggers = {"each": {"on": NIGHTLY, "target": "report"}}
    await leader.use(configured(schedules={NIGHTLY: {}}, triggers=triggers))
    await leader.pass_by(MINUTE)

    assert [decision.trigger for decision in (await leader.do.decisions())[0]] == [None, "each"]
    assert sorted(leader.woken) == ["report", TARGET]


async def spoil(leader: Leader, name: str) -> None:
    """A definition that no version of this could have written."""

    def write(connection: Connection) -> None:
        changed = update(schedules).where(schedules.c.name == name)
        connection.execute(changed.values(definition=b'{"cron": {}}', next_at=leader.now))

    await leader.database.transact(write)


async def test_p9_a_schedule_that_cannot_be_worked_out_does_not_stop_the_others(leader: Leader) -> None:
    """It is tried again each minute, and goes on where it was."""
    for name in ("a", "broken", "z"):
        await leader.do.create(name)
    await leader.pass_by()
    await spoil(leader, "broken")
    with capture_logs() as log:
        await leader.step(3)
    assert [line["schedule"] for line in log if line["event"] == "schedule.broken"] == ["broken"] * 3

    assert [len(await leader.do.ticks(name)) for name in ("a", "broken", "z")] == [3, 0, 3]
    one = await leader.do.stored("broken")
    assert (one.cursor, one.next_at) == (NOW, leader.now + MINUTE)


async def test_p9_what_the_database_refuses_does_not_stop_the_others(
    leader: Leader, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "refused", "z"):
        await leader.do.create(name)
    await leader.pass_by()

    accepted = ticks_module._accepted

    def spoiled(name: str, *arguments: Any) -> Acceptance:
        made = accepted(name, *arguments)
        return replace(made, event=replace(made.event, subject="\ud800")) if name == "refused" else made

    monkeypatch.setattr(ticks_module, "_accepted", spoiled)
    with capture_logs() as log:
        await leader.pass_by(MINUTE)
    assert [line["schedule"] for line in log if line["event"] == "schedule.refused"] == ["refused"]
    assert [len(await leader.do.ticks(name)) for name in ("a", "refused", "z")] == [1, 0, 1]
    monkeypatch.setattr(ticks_module, "_accepted", accepted)
    await leader.pass_by(MINUTE)

    assert [row.missed for row in await leader.do.runs("refused")] == [1]


async def test_one_that_is_put_off_makes_up_for_nothing_of_its_pause(leader: Leader) -> None:
    await leader.use(configured(schedules={NIGHTLY: {}}))
    await leader.do.pause(lasting=10 * MINUTE + 30 * SECOND)
    known = leader.current.snapshot
    leader.current.snapshot = leader.ticker._followed = replace(known, schedules={})
    await leader.pass_by(11 * MINUTE)
    leader.current.snapshot = leader.ticker._followed = known
    await leader.pass_by(MINUTE)

    assert [(row.scheduled_for, row.missed) for row in await leader.do.runs()] == [(NOW + 12 * MINUTE, 1)]
    assert await leader.do.skips() == []


async def test_more_than_one_batch_is_made_at_once(leader: Leader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticker_module, "BATCH", 2)
    names = [f"s{number}" for number in range(7)]
    await leader.use(configured(schedules={name: {} for name in names}))
    await leader.pass_by(MINUTE)

    assert [len(await leader.do.ticks(name)) for name in names] == [1] * 7


async def test_t07_a_look_that_comes_early_makes_nothing_and_loses_nothing(leader: Leader) -> None:
    await leader.do.create(overlap="allow")
    await leader.pass_by()
    early = timedelta(milliseconds=20)
    for minute in range(1, 4):
        await leader.pass_by(MINUTE - early)
        await leader.pass_by()
        assert len(await leader.do.ticks()) == minute - 1
        assert await leader.ticker._tick(leader.do.leading) == pytest.approx(0.02)
        await leader.pass_by(early)
        await leader.pass_by()

    assert await leader.do.ticks() == [NOW + MINUTE, NOW + 2 * MINUTE, NOW + 3 * MINUTE]


async def goes_on_after_the_clock_is_set_back(leader: Leader) -> None:
    """By an hour: no tick twice, and no silence until the clock is where it was."""
    await leader.do.create(overlap="allow", misfire={"policy": "all"})
    await leader.step(3)
    await leader.pass_by(-HOUR)
    await leader.step(3)
    assert await leader.do.ticks() == [NOW + minute * MINUTE for minute in (-56, -55, -54, 1, 2, 3)]
    await leader.pass_by(HOUR)

    assert len(await leader.do.ticks()) == len(await leader.do.runs()) == 63
    assert await leader.do.skips() == []


async def test_t04_a_clock_that_is_set_back(leader: Leader) -> None:
    await goes_on_after_the_clock_is_set_back(leader)


async def test_c08_a_clock_that_is_set_back_finds_ticks_without_a_key(
    leader: Leader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ticks_module, "tick_event", module_with("ticks-have-no-key").tick_event)
    with pytest.raises(AssertionError):
        await goes_on_after_the_clock_is_set_back(leader)


async def test_t04_a_clock_that_is_far_ahead_for_a_moment(leader: Leader) -> None:
    """What it made by then stays; what it skipped then comes again."""
    await leader.do.create(overlap="allow")
    await leader.step(2)
    await leader.pass_by(DAY)
    assert [count for *_, count, _ in await leader.do.skips()] == [1379]
    await leader.pass_by(-DAY)
    await leader.step(2)

    assert await leader.do.ticks() == [NOW + n * MINUTE for n in (1, 2, 3, 4)] + [NOW + DAY + 2 * MINUTE]


async def test_t05_a_day_of_sleep_is_one_tick_and_one_record(leader: Leader) -> None:
    await leader.do.create()
    await leader.pass_by()
    await leader.pass_by(DAY)

    assert [(row.scheduled_for, row.missed) for row in await leader.do.runs()] == [(NOW + DAY, 60)]
    assert await leader.do.skips() == [
        (NOW + MINUTE, NOW + DAY - 61 * MINUTE, 1379, "older than misfire.grace (1h)")
    ]  # fmt: skip


@pytest.fixture
def zones(tmp_path: Path) -> Iterator[Path]:
    """A folder of time zones of its own, with the rules that Europe/Berlin has."""
    path = tmp_path / "Europe" / "Berlin"
    path.parent.mkdir()
    path.write_bytes(rules_of("Europe/Berlin"))
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath([tmp_path])
    forget_zones()
    yield path
    zoneinfo.reset_tzpath(before)
    forget_zones()


def change_rules(zone: Path, rules: bytes) -> None:
    zone.write_bytes(rules)
    forget_zones()


def rules_of(zone: str) -> bytes:
    return next(path.read_bytes() for folder in zoneinfo.TZPATH if (path := Path(folder, zone)).exists())


async def test_t10_new_rules_of_a_time_zone_hold_from_the_next_reload_on(leader: Leader, zones: Path) -> None:
    """Berlin moves to New York: nine o'clock is six hours later."""
    fields: dict[str, Any] = {"cron": "0 9 * * *", "timezone": "Europe/Berlin"}
    zoneinfo.reset_tzpath()
    america = rules_of("America/New_York")
    zoneinfo.reset_tzpath([zones.parent.parent])
    await leader.do.create("api", **fields)
    await leader.use(configured(schedules={"file": fields}))
    await leader.pass_by()
    nine = NOW + 10 * HOUR
    assert [(await leader.do.stored(name)).next_at for name in ("api", "file")] == [nine, nine]
    change_rules(zones, america)
    await leader.use(configured(schedules={"file": fields}))
    await leader.pass_by()

    assert [(await leader.do.stored(name)).next_at for name in ("api", "file")] == [nine + 6 * HOUR] * 2
    await leader.pass_by(10 * HOUR)
    assert await leader.do.ticks("api") == await leader.do.ticks("file") == []
    await leader.pass_by(6 * HOUR)
    assert await leader.do.ticks("api") == await leader.do.ticks("file") == [nine + 6 * HOUR]


async def test_a_continuous_schedule_goes_on_after_a_run_that_was_cancelled_before_it_began(leader: Leader) -> None:
    await leader.do.create(continuous=True)
    await leader.pass_by()
    (run,) = await leader.do.runs()
    await leader.do.scene.cancel(run.id)

    async def waiting() -> int:
        leader.ticker.wake()
        return len(await leader.do.runs())

    await until(waiting, 2, "the next run is made")


async def depose(leader: Leader) -> None:
    """Another node leads from here on: this one hung until its lease was over."""

    def write(connection: Connection) -> None:
        other = {"node_id": new_id(), "node": "other", "epoch": leadership.c.epoch + 1, "lease_until": from_now(HOUR)}
        connection.execute(update(leadership).values(other))

    await leader.database.transact(write)


async def test_l02_a_leader_that_is_none_any_more_stops(postgres_leader: Leader) -> None:
    """In the middle of its work, by what the database says; and it notices."""
    leader = postgres_leader
    await leader.do.create()
    await leader.pass_by()
    await depose(leader)
    leader.do.scene.wait(MINUTE)
    leader.ticker.wake()
    await asyncio.wait_for(leader.leadership.lost(leader.do.leading), 10)
    leader.do.scene.wait(MINUTE)
    leader.ticker.wake()
    await asyncio.sleep(0.1)

    assert (await leader.do.ticks(), leader.woken) == ([], [])
    in_office = await who_leads(leader.database)
    assert in_office is not None
    assert in_office["node"] == "other"


async def test_l02_a_leader_that_is_elected_again_goes_on_where_it_was(postgres_leader: Leader) -> None:
    leader = postgres_leader
    await leader.do.create(overlap="allow", misfire={"policy": "all"})
    await leader.step(2)
    await depose(leader)
    leader.do.scene.wait(MINUTE)
    leader.ticker.wake()
    await asyncio.wait_for(leader.leadership.lost(leader.do.leading), 10)
    expired = update(leadership).values(lease_until=from_now(-SECOND))
    await leader.database.transact(lambda connection: connection.execute(expired))
    await asyncio.wait_for(leader.leadership.gained(), 10)
    await leader.pass_by(MINUTE)

    assert await leader.do.ticks() == [NOW + n * MINUTE for n in (1, 2, 3, 4)]
    assert len(await leader.do.runs()) == 4
