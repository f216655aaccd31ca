"""How a transaction is carried out. It is written once, as plain calls on a connection, for every database.

On SQLite it goes as a whole to the one thread that writes: a hop between threads costs as much as a statement. On
PostgreSQL SQLAlchemy lets the plain calls wait for asyncpg.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")


def _nothing() -> None:
    pass


class Transactor(Protocol):
    """Carries out one transaction at a time, or several side by side."""

    async def run(self, transaction: Callable[[Connection], T], committing: Callable[[], None] = _nothing) -> T:
        """Its result, once committed. Calls `committing` just before: after that nobody knows, if it raises."""

    async def close(self) -> None:
        """Lets go of all connections."""


class ThreadTransactor:
    """For SQLite: one thread, one connection. `check` says, after each commit, whether it was worth anything."""

    def __init__(self, engine: Engine, check: Callable[[], None]) -> None:
        self._engine = engine
        self._check = check
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite-writer")

    async def run(self, transaction: Callable[[Connection], T], committing: Callable[[], None] = _nothing) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, transaction, committing)

    def _run(self, transaction: Callable[[Connection], T], committing: Callable[[], None]) -> T:
        with self._engine.connect() as connection:
            try:
                result = transaction(connection)
                committing()
                connection.commit()
            except Exception:
                connection.invalidate()  # after an error it is not trusted again
                raise
        self._check()
        return result

    async def between(self, act: Callable[[], None]) -> None:
        """Does something else while nothing is written."""
        await asyncio.get_running_loop().run_in_executor(self._thread, act)

    async def close(self) -> None:
        self._thread.shutdown()
        self._engine.dispose()


class LoopTransactor:
    """For PostgreSQL: as many connections as there are transactions at once."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def run(self, transaction: Callable[[Connection], T], committing: Callable[[], None] = _nothing) -> T:
        async with self._engine.connect() as connection:
            try:
                result = await connection.run_sync(transaction)
                committing()
                await connection.commit()
            except Exception:
                await connection.invalidate()
                raise
            return result

    async def close(self) -> None:
        await self._engine.dispose()
