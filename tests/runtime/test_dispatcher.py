"""The dispatcher on a real database, with targets that end their calls when the test says so."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.core.ids import new_id
from gateway.core.outcome import Lost, Outcome, Succeeded
from gateway.core.plan import Plan
from gateway.core.request import Request
from gateway.runtime.dispatcher import Dispatcher
from gateway.runtime.lease import Lease
from gateway.runtime.settings import Server
from gateway.runtime.snapshot import Current, Snapshot
from gateway.store.accept import Acceptance, accept
from gateway.store.claim import ClaimedRun, claim
from gateway.store.control import Cancellation, cancel_runs
from gateway.store.database import Database, open_database
from gateway.store.history import find_run
from gateway.store.migrate import migrate
from gateway.store.settings import DatabaseSettings
from gateway.store.settle import Attempted, settle_attempts
from gateway.targets.base import Attempt, Settings
from tests.store.scene import event
from tests.waiting import until

SOON = 0.02


@dataclass(slots=True)
class Calls:
    """All calls of all targets; `lasting` holds them until it is set, where it is asked for."""

    begun: list[tuple[str, str, int]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    lasting: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Recorded:
    """A target that writes down that it is called."""

    name: str
    settings: Settings
    calls: Calls
    names: frozenset[str] = frozenset()

    def render(self, context: Mapping[str, Any]) -> Any:
        return context

    async def perform(self, call: Any, attempt: Attempt) -> Outcome:
        self.calls.begun.append((self.name, attempt.run_id, attempt.number))
        self.calls.at_once += 1
        self.calls.most_at_once = max(self.calls.most_at_once, self.calls.at_once)
        try:
            await self.calls.lasting.wait()
            await asyncio.sleep(SOON)
        finally:
            self.calls.at_once -= 1
        return Succeeded()


@dataclass(slots=True)
class Node:
    """A node that dispatches, and what its targets were asked."""

    database: Database
    current: Current
    lease: Lease
    dispatcher: Dispatcher
    calls: Calls

    async def request(self, target: str, count: int = 1) -> list[str]:
        """The ids of so many new runs; the dispatcher is not told."""
        requests = [Request(target=target, payload=b"{}") for _ in range(count)]
        await self.database.commit(accept, (Acceptance(event(id=new_id()), Plan(tuple(requests))),))
        return [request.run_id for request in requests]

    async def state(self, run_id: str) -> str:
        run = await find_run(self.database, run_id)
        assert run
        return str(run["state"])


@asynccontextmanager
async def node(folder: Path, limits: Mapping[str, int], slots: int = 100) -> AsyncIterator[Node]:
    """Not dispatching yet; `limits` are the targets with their concurrency."""
    settings = DatabaseSettings.model_validate({"url": f"sqlite:///{folder}/gateway.db"})
    calls = Calls()
    targets = {name: Recorded(name, Settings(kind="stub", concurrency=limit), calls) for name, limit in limits.items()}
    server = Server(slots=slots)
    snapshot = Snapshot(hash="", sources={}, triggers={}, targets=targets, windows={}, server=server)
    async with open_database(settings) as database:
        await migrate(database)
        lease = Lease(database, snapshot, timedelta(seconds=15))
        await lease.acquire()
        current = Current(snapshot)
        yield Node(database, current, lease, Dispatcher(database, current, lease), calls)


@asynccontextmanager
async def dispatching(one: Node) -> AsyncIterator[None]:
    task = asyncio.create_task(one.dispatcher.run())
    try:
        yield
    finally:
        await one.dispatcher.drain(timedelta(0))
        await task


def hold_back(one: Node, monkeypatch: pytest.MonkeyPatch, held: Callable[..., Any]) -> asyncio.Event:
    """The answers of this transaction are on their way until the event is set, though it is committed."""
    answered, commit = asyncio.Event(), one.database.commit

    async def late(transaction: Any, request: Any) -> Any:
        result = await commit(transaction, request)
        if transaction is held:
            await answered.wait()
        return result

    monkeypatch.setattr(one.database, "commit", late)
    return answered


async def number_of_calls(one: Node) -> int:
    return len(one.calls.begun)


async def test_a_node_never_makes_more_calls_than_it_has_slots(tmp_path: Path) -> None:
    """However many targets have something to do at the same moment."""
    async with node(tmp_path, {"a": 4, "b": 4, "c": 4}, slots=5) as one:
        for target in "abc":
            await one.request(target, 4)
        one.calls.lasting.set()
        async with dispatching(one):
            await until(lambda: number_of_calls(one), 12, "calls")
            assert one.calls.most_at_once == 5


async def test_no_target_keeps_the_slots_of_a_node_from_the_others(tmp_path: Path) -> None:
    async with node(tmp_path, {"a": 1, "b": 1}, slots=1) as one:
        await one.request("a", 10)
        await one.request("b", 1)
        one.calls.lasting.set()
        async with dispatching(one):
            await until(lambda: number_of_calls(one), 11, "calls")
            assert "b" in [target for target, *_ in one.calls.begun[:3]]


async def test_a_late_end_of_an_attempt_does_not_disturb_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run was lost, and is begun again on the same node while its first attempt still waits for the database."""
    async with node(tmp_path, {"a": 2}) as one:
        [run_id] = await one.request("a")
        claimed: list[ClaimedRun] = []
        settled = asyncio.Event()
        commit = one.database.commit

        async def late(transaction: Any, request: Any) -> Any:
            if transaction is settle_attempts and request.run.attempt == 1 and not isinstance(request.outcome, Lost):
                claimed.append(request.run)
                await settled.wait()
            return await commit(transaction, request)

        monkeypatch.setattr(one.database, "commit", late)
        one.calls.lasting.set()
        async with dispatching(one):
            await until(lambda: _length(claimed), 1, "attempts that have ended")
            one.calls.lasting.clear()
            lost = Attempted(run=claimed[0], outcome=Lost(), node=None, finished_at=one.database.now())
            await commit(settle_attempts, lost)
            one.dispatcher.wake(["a"])
            await until(lambda: number_of_calls(one), 2, "calls")
            settled.set()
            await asyncio.sleep(0.1)
            one.dispatcher.wake(["a"])
            await asyncio.sleep(0.1)
            assert one.calls.begun == [("a", run_id, 1), ("a", run_id, 2)]


async def _length(things: Sequence[Any]) -> int:
    return len(things)


async def test_the_log_has_the_reason_that_the_run_has(tmp_path: Path) -> None:
    async with node(tmp_path, {"a": 1}) as one:
        [run_id] = await one.request("a")
        async with dispatching(one):
            await until(lambda: number_of_calls(one), 1, "calls")
            await one.database.commit(cancel_runs, Cancellation(run_id=run_id, reason="nightly is due again"))
            with capture_logs() as log:
                one.dispatcher.cancel([run_id])
                await until(lambda: one.state(run_id), "cancelled", "state")
                await until(lambda: _length(log), 1, "lines")
    assert (log[0]["event"], log[0]["reason"]) == ("run.not_succeeded", "nightly is due again")


async def test_a_cancelled_run_is_not_called_where_its_target_follows_no_jobs_any_more(tmp_path: Path) -> None:
    """It was to have its job cancelled, and then somebody took the keys for that out of the configuration."""
    async with node(tmp_path, {"a": 1}) as one:
        [run_id] = await one.request("a")
        async with dispatching(one):
            await until(lambda: number_of_calls(one), 1, "calls")
            [attempt] = one.dispatcher.attempts
            await attempt.checkpoint({"started": {}})
        await one.database.commit(cancel_runs, Cancellation(run_id=run_id, reason="by hand"))
        assert await one.state(run_id) == "retrying"
        again = Dispatcher(one.database, one.current, one.lease)
        async with dispatching(replace(one, dispatcher=again)):
            await until(lambda: one.state(run_id), "cancelled", "state")
        assert await number_of_calls(one) == 1


async def test_p8_an_end_that_cannot_be_stored_is_a_failure_and_no_reason_to_call_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unstorable(target: Recorded, call: Any, attempt: Attempt) -> Outcome:
        target.calls.begun.append((target.name, attempt.run_id, attempt.number))
        return Succeeded(output="\ud800")

    monkeypatch.setattr(Recorded, "perform", unstorable)
    monkeypatch.setattr("gateway.runtime.dispatcher.SETTLE_AGAIN_AFTER", SOON)
    async with node(tmp_path, {"a": 1}) as one:
        [run_id] = await one.request("a")
        async with dispatching(one):
            await until(lambda: one.state(run_id), "retrying", "state")
        assert await number_of_calls(one) == 1


async def test_a_claim_under_way_at_the_shutdown_is_broken_off_like_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not left to be lost: then `on_lost: fail` would let a restart fail the run."""
    async with node(tmp_path, {"a": 1}) as one:
        [run_id] = await one.request("a")
        answered = hold_back(one, monkeypatch, claim)
        async with dispatching(one):
            await until(lambda: one.state(run_id), "running", "state")
            asyncio.get_running_loop().call_later(0.1, answered.set)
        assert await one.state(run_id) == "retrying"


async def test_a_shutdown_does_not_wait_for_a_claim_that_never_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.runtime.dispatcher.LAST_CLAIM", 0.1)
    async with node(tmp_path, {"a": 1}) as one:
        [run_id] = await one.request("a")
        hold_back(one, monkeypatch, claim)
        dispatching_task = asyncio.create_task(one.dispatcher.run())
        await until(lambda: one.state(run_id), "running", "state")
        await asyncio.wait_for(one.dispatcher.drain(timedelta(0)), 1)
        dispatching_task.cancel()
        with suppress(asyncio.CancelledError):
            await dispatching_task


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether calls that are broken off must end at once; they end only when they are told again."""
    told: list[bool] = []

    async def linger(target: Recorded, call: Any, attempt: Attempt) -> Outcome:
        target.calls.begun.append((target.name, attempt.run_id, attempt.number))
        try:
            return await asyncio.Future()
        except asyncio.CancelledError:
            told.append(attempt.at_once)
            return await asyncio.Future()

    monkeypatch.setattr(Recorded, "perform", linger)
    return told


async def test_calls_that_take_too_long_to_end_at_a_shutdown_are_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[bool]
) -> None:
    monkeypatch.setattr("gateway.runtime.dispatcher.LAST_WORDS", 0.1)
    async with node(tmp_path, {"a": 1}) as one:
        [run_id] = await one.request("a")
        async with dispatching(one):
            await until(lambda: number_of_calls(one), 1, "calls")
        assert told == [False]
        assert await one.state(run_id) == "retrying"


async def test_calls_have_no_time_to_end_when_the_lease_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[bool]
) -> None:
    monkeypatch.setattr("gateway.runtime.dispatcher.LAST_WORDS", 0.1)
    async with node(tmp_path, {"a": 1}) as one:
        await one.request("a")
        async with dispatching(one):
            await until(lambda: number_of_calls(one), 1, "calls")
            one.dispatcher.abandon()
            await until(lambda: _length(told), 1, "calls that were told")
        assert told == [True]
