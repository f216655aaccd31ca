"""At most one node trusts that it leads, whatever happens to the database; there is another leader soon."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise, zip_longest
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.exc import ProgrammingError

from gateway.core.ids import new_id
from gateway.runtime import leadership as leadership_module
from gateway.runtime.leadership import Leadership
from gateway.runtime.lease import Lease
from gateway.runtime.listener import listen
from gateway.runtime.snapshot import Snapshot
from gateway.store.database import Database, open_database
from gateway.store.leadership import Leading, who_leads
from gateway.store.migrate import migrate
from gateway.store.schema import EPOCH, leadership
from gateway.store.settings import DatabaseSettings
from tests.servers.postgres import PostgreSQL
from tests.servers.proxy import Proxy
from tests.waiting import until

LENGTH = timedelta(seconds=1)
LONG = timedelta(hours=1)
SNAPSHOT = Snapshot(hash="", sources={}, triggers={}, targets={}, windows={})


@dataclass
class Candidate:
    """A node that seeks the leadership, and when it believed that it had it, by the monotonic clock."""

    database: Database
    lease: Lease
    leadership: Leadership
    running: asyncio.Task[None]
    began: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)

    async def watch(self) -> None:
        while True:
            leading = await self.leadership.gained()
            self.began.append(time.monotonic())
            await self.leadership.lost(leading)
            self.ended.append(time.monotonic())

    async def gained(self) -> Leading:
        return await asyncio.wait_for(self.leadership.gained(), 10)

    async def lost(self, leading: Leading) -> None:
        await asyncio.wait_for(self.leadership.lost(leading), 10)

    async def leads(self) -> bool:
        return len(self.began) > len(self.ended)


@asynccontextmanager
async def candidate(url: str, length: timedelta = LENGTH) -> AsyncIterator[Candidate]:
    """A node that dies at the end: it does not resign."""
    async with open_database(DatabaseSettings.model_validate({"url": url})) as database:
        await migrate(database)
        lease = Lease(database, SNAPSHOT, LONG)
        await lease.acquire()
        leadership = Leadership(database, lease, length)
        one = Candidate(database, lease, leadership, asyncio.create_task(leadership.run()))
        watching = asyncio.create_task(one.watch())
        yield one
        watching.cancel()
        one.running.cancel()


@asynccontextmanager
async def candidates(url: str, number: int) -> AsyncIterator[list[Candidate]]:
    """The first of them leads."""
    async with AsyncExitStack() as stack:
        found = [await stack.enter_async_context(candidate(url))]
        await found[0].gained()
        found += [await stack.enter_async_context(candidate(url)) for _ in range(number - 1)]
        yield found


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/gateway.db"


def overlap(*nodes: Candidate) -> bool:
    """Whether two of them trusted that they lead at the same time."""
    now = time.monotonic()
    spells = sorted(spell for node in nodes for spell in zip_longest(node.began, node.ended, fillvalue=now))
    return any(ended > began for (_, ended), (began, _) in pairwise(spells))


async def first_of(*nodes: Candidate) -> Candidate:
    """The one that leads first."""
    gaining = {asyncio.create_task(node.leadership.gained()): node for node in nodes}
    done, waiting = await asyncio.wait(gaining, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    return gaining[done.pop()]


async def test_a_leader_goes_on_for_longer_than_its_lease(database_url: str) -> None:
    async with candidate(database_url, timedelta(seconds=0.6)) as one:
        leading = await one.gained()
        await asyncio.sleep(0.8)
        assert one.leadership.is_current(leading)
        assert (await who_leads(one.database) or {})["epoch"] == leading.epoch == 1


async def test_l01_a_leader_that_dies_is_succeeded(postgres_url: str) -> None:
    async with candidates(postgres_url, 3) as (leader, *others):
        leader.running.cancel()
        heir = await first_of(*others)

        assert [node for node in others if await node.leads()] == [heir]
        assert (await heir.gained()).epoch == 2


async def test_l05_a_leader_that_reaches_nobody_steps_down_before_another_is_elected(
    postgres: PostgreSQL, postgres_url: str
) -> None:
    async with Proxy(postgres.port) as proxy, AsyncExitStack() as stack:
        cut_off = await stack.enter_async_context(candidate(postgres_url.replace(str(postgres.port), str(proxy.port))))
        await cut_off.gained()
        other = await stack.enter_async_context(candidate(postgres_url))
        await proxy.switch("blackhole")
        leading = await other.gained()

        assert cut_off.ended[0] < other.began[0]
        await proxy.switch("pass")
        await asyncio.sleep(0.3)
        assert other.leadership.is_current(leading)
        assert not overlap(cut_off, other)


async def test_l03_broken_connections_make_no_second_leader(postgres: PostgreSQL, postgres_url: str) -> None:
    name = postgres_url.rpartition("/")[2]
    broken = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    async with candidates(postgres_url, 2) as (one, other):
        for _ in range(4):
            await asyncio.to_thread(postgres.execute, broken)
            await asyncio.sleep(0.2)

        await first_of(one, other)
        assert [await one.leads(), await other.leads()].count(True) == 1
        assert not overlap(one, other)


async def test_l04_while_the_database_is_away_nobody_leads(postgres: PostgreSQL, postgres_url: str) -> None:
    async with candidates(postgres_url, 2) as (one, other):
        leading = await one.gained()
        await asyncio.to_thread(postgres.stop, "immediate")
        await one.lost(leading)
        await asyncio.sleep(0.2)
        assert [await one.leads(), await other.leads()] == [False, False]
        await asyncio.to_thread(postgres.start)

        async def elected() -> int:
            return len(one.began + other.began)

        await until(elected, 2, "elections")
        assert not overlap(one, other)
        assert not one.running.done()
        assert not other.running.done()


async def test_l06_of_two_nodes_of_the_same_name_one_leads(postgres_url: str) -> None:
    async with candidates(postgres_url, 2) as (one, other):
        assert one.lease.node.name == other.lease.node.name
        await asyncio.sleep(0.3)
        assert [await one.leads(), await other.leads()] == [True, False]


async def test_l07_who_resigns_is_succeeded_at_once(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a node that would otherwise look again in a minute."""
    monkeypatch.setattr(leadership_module, "MAX_PAUSE", 60)
    listening = asyncio.Event()
    async with candidate(postgres_url, LONG) as one, candidate(postgres_url, LONG) as other:
        leader, heir = (one, other) if await first_of(one, other) is one else (other, one)
        hearing = asyncio.create_task(
            listen(heir.database, lambda _: listening.set(), lambda _: None, heir.leadership.wake, lambda: None)
        )
        await listening.wait()
        old = await leader.gained()
        await leader.leadership.resign()
        new = await heir.gained()
        hearing.cancel()

        assert (new.node_id, new.epoch) == (heir.lease.node.id, old.epoch + 1)
        assert not overlap(one, other)
        await asyncio.wait_for(leader.running, 5)


async def test_a_resignation_during_an_election_leaves_no_leader(database_url: str) -> None:
    async with candidate(database_url, LONG) as one:
        await asyncio.sleep(0)
        await one.leadership.resign()
        await asyncio.wait_for(one.running, 5)

        assert await who_leads(one.database) is None


async def test_a_resignation_that_reaches_nobody_holds_nobody_up(postgres: PostgreSQL, postgres_url: str) -> None:
    async with (
        Proxy(postgres.port) as proxy,
        candidate(postgres_url.replace(str(postgres.port), str(proxy.port))) as one,
    ):
        leading = await one.gained()
        await proxy.switch("blackhole")
        await asyncio.wait_for(one.leadership.resign(), 5)
        assert not one.leadership.is_current(leading)
        await proxy.switch("pass")


async def test_a_node_with_a_new_identity_leads_no_more_under_the_old_one(postgres_url: str) -> None:
    async with candidate(postgres_url) as one:
        before = await one.gained()
        one.lease.node = replace(one.lease.node, id=new_id())
        assert not one.leadership.is_current(before)
        one.leadership.wake()
        await one.lost(before)

        assert await one.gained() == Leading(node_id=one.lease.node.id, epoch=before.epoch + 1)


async def test_whose_lease_turns_out_to_be_over_learns_it_when_woken(database_url: str) -> None:
    """A laptop that slept, or a database's clock that jumped: a write is refused, and the leader looks at once."""
    async with candidate(database_url, LONG) as one:
        before = await one.gained()
        over = update(leadership).values(lease_until=EPOCH)
        await one.database.transact(lambda connection: connection.execute(over))
        one.leadership.wake()
        await one.lost(before)

        assert (await one.gained()).epoch == before.epoch + 1


async def test_on_sqlite_the_next_process_leads_at_once(sqlite_url: str) -> None:
    async with candidate(sqlite_url, LONG) as before:
        first = await before.gained()
    async with candidate(sqlite_url, LONG) as after:
        assert (await after.gained()).epoch == first.epoch + 1


async def test_a_node_whose_lease_is_lost_does_not_seek_under_its_old_identity(postgres_url: str) -> None:
    async with candidate(postgres_url) as one:
        before = await one.gained()
        one.lease._lose()
        over = update(leadership).values(lease_until=EPOCH)
        await one.database.transact(lambda connection: connection.execute(over))
        one.leadership.wake()
        await one.lost(before)
        await asyncio.sleep(0.3)
        assert await who_leads(one.database) is None
        await one.lease.acquire()

        assert (await one.gained()).epoch == 2


async def test_a_defect_ends_the_loop(postgres_url: str) -> None:
    async with candidate(postgres_url) as one:
        await one.database.transact(leadership.drop)
        with pytest.raises(ProgrammingError):
            await asyncio.wait_for(one.running, 5)
