"""The log of a run, attempt by attempt: of those that have ended, and of the one in progress as far as it is kept."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.run import State
from gateway.store.database import Database
from gateway.store.schema import attempts, live_logs, nodes, runs

Sign = tuple[Any, ...]
"""What of a run changes whenever there is something new to read of it."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the log of a run: behind so many lines of an attempt."""

    attempt: int = 1
    lines: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What there is at a position: of one attempt, so that no log is too long to be held; and where it ends."""

    run: dict[str, Any]
    attempt: dict[str, Any] | None
    """`None` where there is no attempt any more, or not yet; without an `outcome` it is in progress."""
    lines: list[str]
    until: Position

    @property
    def is_closed(self) -> bool:
        """Whether its attempt has ended, so that there will be no more of it."""
        return self.attempt is not None and self.attempt["outcome"] is not None

    @property
    def next(self) -> Position:
        """Where to read on."""
        return Position(self.until.attempt + 1) if self.is_closed else self.until


_RUN_FIELDS = ("id", "state", "attempt", "due_at", "reason", "superseded_by")
_ATTEMPT_FIELDS = ("number", "node", "started_at", "finished_at", "outcome", "status", "reason")
_RUN = select(runs, nodes.c.name.label("node")).outerjoin(nodes, nodes.c.id == runs.c.node_id)


async def read_part(database: Database, run_id: str, since: Position) -> Part | None:
    """What is new of a run since a position; `None` where there is no such run."""
    async with database.read() as connection:
        # in this order nothing is missing once a run is final, and nothing is doubled of an attempt that ends meanwhile
        run = (await connection.execute(_RUN.where(runs.c.id == run_id))).one_or_none()
        if run is None:
            return None
        later = select(attempts).where(attempts.c.run_id == run_id, attempts.c.number >= since.attempt)
        ended = (await connection.execute(later.order_by(attempts.c.number).limit(1))).one_or_none()
        if ended is not None:
            lines = ended.log.split("\n") if ended.log else []
            return _part(run, _ended(ended), [(ended.dropped, lines)], since)
        if run.state == State.RUNNING and run.attempt >= since.attempt:
            return _part(run, _in_progress(run), await _chunks(connection, run, since), since)
    return Part(run=_shown(run), attempt=None, lines=[], until=since)


async def signs_of(database: Database, run_ids: Collection[str]) -> dict[str, Sign]:
    """One look for all these runs."""
    of_attempt = (live_logs.c.run_id == runs.c.id) & (live_logs.c.attempt == runs.c.attempt)
    last_line = select(func.max(live_logs.c.number)).where(of_attempt).scalar_subquery()
    facts = select(runs.c.id, runs.c.state, runs.c.attempt, runs.c.due_at, runs.c.reason, runs.c.progress, last_line)
    async with database.read() as connection:
        return {row.id: tuple(row) for row in await connection.execute(facts.where(runs.c.id.in_(run_ids)))}


def _part(run: Any, attempt: dict[str, Any], chunks: Iterable[tuple[int, list[str]]], since: Position) -> Part:
    """Chunks are lines and how many came before them; gaps between them are named."""
    position = since.lines if attempt["number"] == since.attempt else 0
    said: list[str] = []
    for before, lines in chunks:
        if before > position:
            said.append(f"({before - position:,} lines before this one were not kept)")
        said += lines[max(0, position - before) :]
        position = max(position, before + len(lines))
    return Part(run=_shown(run), attempt=attempt, lines=said, until=Position(attempt["number"], position))


async def _chunks(connection: AsyncConnection, run: Any, since: Position) -> list[tuple[int, list[str]]]:
    position = since.lines if run.attempt == since.attempt else 0
    of_attempt = (live_logs.c.run_id == run.id) & (live_logs.c.attempt == run.attempt)
    newer = select(live_logs).where(of_attempt, live_logs.c.number > position).order_by(live_logs.c.number)
    chunks = [(row.number, row.text.split("\n")) for row in await connection.execute(newer)]
    return [(number - len(lines), lines) for number, lines in chunks]


def _ended(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _ATTEMPT_FIELDS}


def _in_progress(run: Any) -> dict[str, Any]:
    known = {"number": run.attempt, "node": run.node, "started_at": run.attempt_started_at}
    return {**dict.fromkeys(_ATTEMPT_FIELDS), **known}


def _shown(run: Any) -> dict[str, Any]:
    progress = None if run.progress is None else orjson.loads(run.progress)
    return {**{name: getattr(run, name) for name in _RUN_FIELDS}, "progress": progress}
