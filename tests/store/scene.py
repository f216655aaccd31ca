"""A database with a node at work on it, and short ways to say what happens there.

Its clock stands still until a test lets time pass, so that due times can be told exactly; leases go by the clock of the
database all the same.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from gateway.core.event import Delivery, Event
from gateway.core.ids import new_id
from gateway.core.once import Until
from gateway.core.outcome import Lost, Outcome, PermanentFailure, RetryableFailure, Succeeded
from gateway.core.plan import Plan
from gateway.core.request import Decision, Request
from gateway.core.retry import Retry
from gateway.core.run import State
from gateway.store.accept import Acceptance, Accepted, accept
from gateway.store.aside import Passing, give_back, put_aside
from gateway.store.claim import Claim, ClaimedRun, claim
from gateway.store.clock import Clock
from gateway.store.control import Cancellation, Repetition, cancel_runs, repeat_runs
from gateway.store.database import Database, open_database
from gateway.store.history import find_run
from gateway.store.lanes import LaneLimit
from gateway.store.leases import Node, lost_runs, register, retire
from gateway.store.migrate import migrate
from gateway.store.pause import Kind, Pausable, Pause
from gateway.store.pauses import begin_pauses, end_pauses
from gateway.store.schema import metadata, runs
from gateway.store.settings import DatabaseSettings
from gateway.store.settle import Attempted, Ended, settle_attempts
from gateway.store.target_pauses import TargetPause, TargetResumption, pause_targets, resume_targets

NOW = datetime(2027, 1, 15, 22, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
TARGET = "sync"
RETRY = Retry(attempts=5, delays=(10 * SECOND,))
LEASE = 15 * SECOND


class StoppedClock(Clock):
    """Shows the same instant until it is moved on."""

    def __init__(self) -> None:
        super().__init__()
        self.instant = NOW

    def now(self) -> datetime:
        return self.instant

    def follow(self, database_time: datetime, asked: float, answered: float) -> None:
        """Follows nobody."""


def event(**changes: Any) -> Event:
    """Something that happened in NetBox."""
    plain = Event(id=new_id(), source="netbox", type="updated", time=NOW, received_at=NOW, data={}, body=b"{}")
    return replace(plain, **changes)


def delivery(name: str, *, scope: str = "netbox", window: timedelta = timedelta(days=7)) -> Delivery:
    return Delivery(scope=scope, id=name, window=window)


def request(key: str | None = "k", until: Until | timedelta | None = Until.STARTED, **changes: Any) -> Request:
    """A request for the target; without a key it makes a run of its own."""
    plain = Request(target=TARGET, payload=b"{}", trigger="t", key=key, until=until if key is not None else None)
    return replace(plain, **changes)


@dataclass(slots=True)
class Scene:
    """One node on one database."""

    database: Database
    clock: StoppedClock
    node: Node
    limits: dict[str, LaneLimit] = field(default_factory=dict)
    _later: list[Acceptance] = field(default_factory=list)
    _claiming: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_sqlite(self) -> bool:
        return self.database.is_sqlite

    @property
    def now(self) -> datetime:
        return self.clock.instant

    def wait(self, span: timedelta) -> None:
        """Lets time pass."""
        self.clock.instant += span

    async def accept(self, *steps: Request | Decision, **about: Any) -> Accepted:
        """Accepts one event that means these requests."""
        about = {"received_at": self.now} | about
        return (await self.accept_all(Acceptance(event(**about), Plan(steps), self.limits)))[0]

    async def accept_all(self, *acceptances: Acceptance) -> list[Accepted]:
        """Accepts events that one sender handed in together."""
        return await self.database.commit(accept, acceptances)

    def later(self, *steps: Request) -> None:
        """Keeps one event back for `accept_later`."""
        self._later.append(Acceptance(event(received_at=self.now), Plan(steps), self.limits))

    async def accept_later(self) -> list[Accepted]:
        """Accepts all events that were kept back, together."""
        kept, self._later = self._later, []
        return await self.accept_all(*kept)

    async def ask(
        self, key: str | None = "k", until: Until | timedelta | None = Until.STARTED, **changes: Any
    ) -> Decision:
        """Accepts one event that means one request; the decision about it."""
        body = changes.pop("body", b"{}")
        return (await self.accept(request(key, until, **changes), body=body)).decisions[0]

    async def claim(
        self, target: str = TARGET, *, limit: int = 100, slots: int = 100, **changes: Any
    ) -> list[ClaimedRun]:
        """Claims due runs, one claim at a time; what this node has claimed before is taken for being carried out."""
        async with self._claiming:
            executing = changes.pop("executing", None)
            if executing is None:
                executing = await self.executing()
            wanted = Claim(node_id=self.node.id, target=target, limit=limit, slots=slots, executing=executing)
            return await self.database.commit(claim, replace(wanted, **changes))

    async def claim_one(self, target: str = TARGET, **changes: Any) -> ClaimedRun:
        (run,) = await self.claim(target, **changes)
        return run

    async def executing(self) -> frozenset[str]:
        async with self.database.read() as connection:
            mine = await connection.scalars(select(runs.c.id).where(runs.c.node_id == self.node.id))
            return frozenset(mine.all())

    async def settle(self, run: ClaimedRun, outcome: Outcome, **changes: Any) -> Ended | None:
        attempted = Attempted(
            run=run, outcome=outcome, node=self.node.name, finished_at=self.now, retry=RETRY, limits=self.limits
        )
        return await self.database.commit(settle_attempts, replace(attempted, **changes))

    async def end(self, run: ClaimedRun, outcome: Outcome, **changes: Any) -> Ended:
        """As `settle`, for a run that is the node's."""
        ended = await self.settle(run, outcome, **changes)
        assert ended is not None
        return ended

    async def succeed(self, run: ClaimedRun, **changes: Any) -> Ended:
        return await self.end(run, Succeeded(), **changes)

    async def fail(self, run: ClaimedRun, **changes: Any) -> Ended:
        """Fails in a way that is tried again ten seconds later."""
        return await self.end(run, RetryableFailure(reason="boom"), **changes)

    async def give_up(self, run: ClaimedRun, **changes: Any) -> Ended:
        return await self.end(run, PermanentFailure(reason="no"), **changes)

    async def recover(self, **changes: Any) -> list[Ended]:
        """Gives back what dead nodes had, as every node does every second."""
        return [await self.end(run, Lost(), **changes) for run in await lost_runs(self.database)]

    async def crash(self, **changes: Any) -> list[Ended]:
        """The node dies and starts again, under a new identity."""
        await retire(self.database, self.node.id)
        self.node = node(self.node.name)
        await register(self.database, self.node, LEASE)
        return await self.recover(**changes)

    async def cancel(self, run_id: str | None, reason: str = "by hand") -> State:
        wanted = Cancellation(run_id=run_id or "", reason=reason, limits=self.limits)
        return await self.database.commit(cancel_runs, wanted)

    async def pause_target(self, target: str = TARGET, **about: Any) -> datetime | None:
        """Until when, where it ends by itself."""
        pause = Pause(what=Pausable(Kind.TARGET, target), by="me", **about)
        return await self.database.commit(pause_targets, TargetPause(pause=pause))

    async def resume_target(self, target: str = TARGET) -> None:
        await self.database.commit(resume_targets, TargetResumption(target=target))

    async def repeat(self, run_id: str | None) -> Decision:
        wanted = Repetition(run_id=run_id or "", requested_by="me", new_run_id=new_id(), limits=self.limits)
        return await self.database.commit(repeat_runs, wanted)

    async def pause(self, kind: Kind, name: str = "", key: str = "", **about: Any) -> None:
        await self.database.commit(begin_pauses, Pause(what=Pausable(kind, name, key), by="me", **about))

    async def resume(self, kind: Kind, name: str = "", key: str = "") -> None:
        await self.database.commit(end_pauses, Pausable(kind, name, key))
        await self.give_back()

    async def give_back(self) -> None:
        """As every node does every second."""
        while await self.database.commit(give_back, self.limits):
            pass

    async def put_aside(self, target: str = TARGET) -> int:
        """As a node does that claims less than is due; how many runs that were."""
        return await self.database.commit(put_aside, Passing(target=target, limits=self.limits))

    async def rows(self, table: Table, *conditions: Any) -> list[Any]:
        async with self.database.read() as connection:
            return list((await connection.execute(select(table).where(*conditions))).all())

    async def run(self, run_id: str | None) -> Any:
        (row,) = await self.rows(runs, runs.c.id == run_id)
        return row

    async def event_ids(self, run_id: str | None) -> list[str]:
        """The events of a run, oldest first."""
        found = await find_run(self.database, run_id or "")
        assert found is not None
        ids: list[str] = found["event_ids"]
        return ids

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[AsyncConnection]:
        """A connection of somebody else's, past everything that the store does (PostgreSQL only)."""
        engine = create_async_engine(self.database.url)
        async with engine.connect() as connection:
            yield connection
        await engine.dispose()

    async def states(self) -> list[str]:
        """The states of all runs, oldest first."""
        return [row.state for row in sorted(await self.rows(runs), key=lambda row: row.id)]


def node(name: str = "alpha") -> Node:
    return Node(id=new_id(), name=name, version="1", config_hash="c0ffee", labels=(), targets=(TARGET,))


@asynccontextmanager
async def opened(url: str, *, empty: bool = False) -> AsyncIterator[Scene]:
    """A scene on a database that is migrated, and emptied, if need be. On SQLite there is one at a time."""
    async with open_database(DatabaseSettings.model_validate({"url": url})) as database:
        database.clock = clock = StoppedClock()
        await migrate(database)
        if empty:
            await clear(database)
        alone = node()
        await register(database, alone, LEASE)
        yield Scene(database, clock, alone)


async def clear(database: Database) -> None:
    """Empties all tables."""

    def delete_all(connection: Connection) -> None:
        for table in metadata.sorted_tables:
            connection.execute(delete(table))

    await database.transact(delete_all)


async def all_of(*awaitables: Any) -> list[Any]:
    """Several things at the same time; what was raised stands among the results."""
    return await asyncio.gather(*awaitables, return_exceptions=True)
