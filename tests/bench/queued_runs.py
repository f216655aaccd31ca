"""A database with many queued runs, and a node that claims from it."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from pydantic import SecretStr
from sqlalchemy import BigInteger, Select, Text, cast, insert, literal, null, select, update

from gateway.core.ids import new_id
from gateway.core.request import Priority
from gateway.core.run import State
from gateway.store.claim import Claim, claim
from gateway.store.database import Database, open_database
from gateway.store.leases import Node, register
from gateway.store.migrate import migrate
from gateway.store.pause import Kind, Pausable, Pause
from gateway.store.schema import Id, runs
from gateway.store.settings import DatabaseSettings
from gateway.store.target_pauses import TargetPause, pause_targets
from gateway.store.writer import Work

TARGETS = ("sync", "held")
BATCH = 10
CHUNK = 50_000
LEASE = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Runs to insert, by number; the number is also the due time, in microseconds since 1970."""

    first: int
    last: int
    target: str
    lane: str | None
    claimable: bool
    state: State


class Queue:
    """Runs are claimed ten at a time from target `sync`."""

    def __init__(self, database: Database, node_id: str) -> None:
        self._database = database
        self._node_id = node_id
        self._last = 0

    async def add(
        self,
        count: int,
        *,
        target: str = "sync",
        lane: str | None = None,
        claimable: bool = True,
        state: State = State.QUEUED,
    ) -> None:
        """More runs, due after all the others."""
        end = self._last + count
        while self._last < end:
            first, self._last = self._last + 1, min(self._last + CHUNK, end)
            rows = Rows(first=first, last=self._last, target=target, lane=lane, claimable=claimable, state=state)
            await self._database.commit(_insert, rows)

    async def pause(self, target: str) -> None:
        pause = Pause(what=Pausable(Kind.TARGET, target), by="bench")
        await self._database.commit(pause_targets, TargetPause(pause=pause))

    async def claim(self) -> float:
        """How many seconds a claim takes, commit included; what it took is finished, and as much arrives anew."""
        wanted = Claim(node_id=self._node_id, target="sync", limit=10 * BATCH, slots=BATCH)
        began = time.perf_counter()
        claimed = await self._database.commit(claim, wanted)
        seconds = time.perf_counter() - began
        if len(claimed) != BATCH:
            raise RuntimeError(f"claimed {len(claimed)} instead of {BATCH}")
        await self._database.commit(_finish, tuple(run.id for run in claimed))
        await self.add(BATCH)
        return seconds


@asynccontextmanager
async def queue(url: str) -> AsyncIterator[Queue]:
    """An empty one."""
    async with open_database(DatabaseSettings(url=SecretStr(url))) as database:
        await migrate(database)
        node = Node(id=new_id(), name="bench", version="", config_hash="", labels=(), targets=TARGETS)
        await register(database, node, LEASE)
        yield Queue(database, node.id)


def _insert(work: Work, several: Sequence[Rows]) -> list[None]:
    for rows in several:
        chosen = _select(rows)
        work.connection.execute(insert(runs).from_select(list(chosen.selected_columns.keys()), chosen))
    return [None for _ in several]


def _select(rows: Rows) -> Select[tuple[object, ...]]:
    """The rows as the database counts them up itself, one statement for both kinds."""
    counted = select(literal(rows.first, BigInteger).label("n")).cte("counted", recursive=True)
    counted = counted.union_all(select(counted.c.n + 1).where(counted.c.n < rows.last))
    identifier = cast(cast(counted.c.n + 10_000_000, Text) + "-0000-7000-8000-000000000000", Id)
    return select(
        identifier.label("id"),
        literal(rows.state).label("state"),
        literal(rows.target).label("target"),
        (null() if rows.lane is None else literal(rows.lane)).label("lane"),
        literal(b'{"device": "leaf-12"}').label("payload"),
        literal(int(Priority.NORMAL)).label("priority"),
        literal(rows.claimable).label("claimable"),
        counted.c.n.label("created_at"),
        counted.c.n.label("due_at"),
        identifier.label("event_id"),
        literal(1).label("events"),
        literal(1024).label("size"),
        literal(0).label("depth"),
    )


def _finish(work: Work, batches: Sequence[tuple[str, ...]]) -> list[None]:
    for ids in batches:
        work.connection.execute(update(runs).where(runs.c.id.in_(ids)).values(state=State.SUCCEEDED))
    return [None for _ in batches]
