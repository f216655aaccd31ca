"""Group commit: one transaction for everything that is waiting, and no waiting for more.

While a batch commits, the next one gathers. What is asked for carries its own ids, so a commit whose fate is unknown is
simply repeated; and a batch that cannot be committed is halved until only the request that spoils it fails.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection

from gateway.core.errors import Unavailable
from gateway.store.clock import Clock
from gateway.store.faults import Fault, classify, to_caller
from gateway.store.transactor import Transactor

log = structlog.get_logger(__name__)

A = TypeVar("A")
R = TypeVar("R")

MAX_BATCH = 500
MAX_WAITING = 5000
MAX_CONFLICTS = 10
AGAIN_AFTER = 0.2
CONFLICT_PAUSE = 0.005  # longer each time, so that one of those that meet gets through


@dataclass(frozen=True, slots=True)
class Work:
    """What a transaction works with; `repeated` says that an earlier try may have committed after all."""

    connection: Connection
    now: datetime
    repeated: bool = False


Transaction = Callable[[Work, Sequence[A]], Sequence[R | Exception]]
"""Does several requests of one kind at once; the results are in the order of the requests.

A result that is an exception is raised to whoever asked, and the transaction is committed all the same.
"""


@dataclass(slots=True)
class _Waiting:
    transaction: Transaction[Any, Any]
    request: Any
    result: "asyncio.Future[Any]"


@dataclass(slots=True)
class _Fate:
    """What is known of a batch: nothing for certain, once a commit was asked for and not confirmed."""

    is_unknown: bool = False

    def committing(self) -> None:
        self.is_unknown = True


class Writer:
    """Commits one batch at a time; several transactions wait in one queue. `told` learns how large each batch was."""

    def __init__(
        self, transactor: Transactor, clock: Clock, patience: float, told: Callable[[int], None] = lambda _: None
    ) -> None:
        self._transactor = transactor
        self._clock = clock
        self._patience = patience
        self._told = told
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._closing = False
        self._task = asyncio.create_task(self._run(), name="writer")

    async def commit(self, transaction: Transaction[A, R], request: A) -> R:
        """Returns once the request is committed. Raises `Unavailable` where the database cannot take it now."""
        if self._closing:
            raise Unavailable("the gateway shuts down", retry_after=1)
        if len(self._waiting) >= MAX_WAITING:
            raise Unavailable("too many requests wait for the database", retry_after=1)
        waiting = _Waiting(transaction, request, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._arrived.set()
        result: R = await waiting.result
        return result

    async def close(self) -> None:
        """Commits what is waiting, and takes nothing more."""
        self._closing = True
        self._arrived.set()
        await self._task

    async def _run(self) -> None:
        while self._waiting or not self._closing:
            await self._arrived.wait()
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
            if not self._waiting and not self._closing:
                self._arrived.clear()
            if batch:
                await self._commit(batch)

    async def _commit(self, batch: list[_Waiting]) -> None:
        try:
            results = await self._persist(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for the answer
            if classify(error) is Fault.AWAY or len(batch) == 1:
                _fail(batch, to_caller(error))
                return
            log.warning("store.batch_halved", requests=len(batch), error=str(error)[:200])
            middle = len(batch) // 2
            await self._commit(batch[:middle])
            await self._commit(batch[middle:])
        except asyncio.CancelledError:
            _fail(batch, Unavailable("the gateway shuts down", retry_after=1))
            raise
        else:
            _succeed(batch, results)
            self._told(len(batch))

    async def _persist(self, batch: list[_Waiting]) -> dict[int, Any]:
        """Repeats conflicts soon, and for its patience whatever a returning database may still take."""
        give_up = asyncio.get_running_loop().time() + self._patience
        conflicts = 0
        fate = _Fate()
        while True:
            try:
                return await self._try(batch, fate)
            except Exception as error:
                fault = classify(error)
                conflicts += fault is Fault.CONFLICT
                gone = fault is Fault.AWAY and asyncio.get_running_loop().time() >= give_up
                if fault is Fault.REQUEST or gone or conflicts > MAX_CONFLICTS:
                    raise
                await asyncio.sleep(AGAIN_AFTER if fault is Fault.AWAY else CONFLICT_PAUSE * conflicts)

    async def _try(self, batch: list[_Waiting], fate: _Fate) -> dict[int, Any]:
        """The results of a batch, by the ids of those that wait."""

        def carry_out(connection: Connection) -> dict[int, Any]:
            work = Work(connection, self._clock.now(), repeated=fate.is_unknown)
            results: dict[int, Any] = {}
            for transaction, group in _by_transaction(batch).items():
                answers = transaction(work, [waiting.request for waiting in group])
                results.update(zip(map(id, group), answers, strict=True))
            return results

        return await self._transactor.run(carry_out, fate.committing)


def _by_transaction(batch: list[_Waiting]) -> dict[Transaction[Any, Any], list[_Waiting]]:
    """Without those whose asker has gone: what it wanted while the database was away may be wrong by now."""
    groups: dict[Transaction[Any, Any], list[_Waiting]] = {}
    for waiting in batch:
        if not waiting.result.done():
            groups.setdefault(waiting.transaction, []).append(waiting)
    return groups


def _succeed(batch: list[_Waiting], results: dict[int, Any]) -> None:
    for waiting in batch:
        if not waiting.result.done():  # whoever asked may have gone away
            _answer(waiting.result, results[id(waiting)])


def _answer(future: "asyncio.Future[Any]", result: Any) -> None:
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.result.done():
            waiting.result.set_exception(error)
