"""When what calls say is stored, and when not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import Unavailable
from gateway.core.outcome import Outcome, Succeeded
from gateway.core.progress import Progress
from gateway.runtime.live import EVERY, Live
from gateway.store.history import find_run
from gateway.store.live import Said, keep_said
from gateway.store.logs import Position, read_part
from gateway.store.settle import settle_attempts
from gateway.targets.base import Attempt
from tests.runtime.test_dispatcher import Node, Recorded, dispatching, hold_back, node, number_of_calls
from tests.waiting import until


@pytest.fixture(autouse=True)
def _talkative(monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(target: Recorded, call: Any, attempt: Attempt) -> Outcome:
        attempt.log("begun")
        attempt.progress(Progress(percent=10))
        target.calls.begun.append((target.name, attempt.run_id, attempt.number))
        await target.calls.lasting.wait()
        attempt.log("done")
        attempt.progress(Progress(percent=100))
        return Succeeded()

    monkeypatch.setattr(Recorded, "perform", talk)


@asynccontextmanager
async def calling(folder: Path, count: int) -> AsyncIterator[tuple[Node, Live, list[str]]]:
    """So many calls in progress."""
    async with node(folder, {"a": count}) as one:
        run_ids = await one.request("a", count)
        async with dispatching(one):
            await until(lambda: number_of_calls(one), count, "calls")
            yield one, Live(one.database, one.dispatcher), run_ids


def noted(one: Node, monkeypatch: pytest.MonkeyPatch) -> list[list[Said]]:
    """What is stored together."""
    transactions: list[list[Said]] = []

    def keep(work: Any, news: Any) -> Any:
        transactions.append(list(news))
        return keep_said(work, news)

    monkeypatch.setattr("gateway.runtime.live.keep_said", keep)
    return transactions


def let_pass(one: Node, span: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    now = one.database.now
    monkeypatch.setattr(one.database, "now", lambda: now() + span)


async def test_short_calls_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with calling(tmp_path, 2) as (one, live, _):
        transactions = noted(one, monkeypatch)
        await live.keep()

    assert transactions == []


async def test_the_news_of_all_calls_go_together_and_no_news_cost_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with calling(tmp_path, 5) as (one, live, run_ids):
        transactions = noted(one, monkeypatch)
        let_pass(one, EVERY, monkeypatch)
        await live.keep()
        await live.keep()
        read = await read_part(one.database, run_ids[0], Position())
        assert read is not None
        assert (read.lines, read.run["progress"]["percent"]) == (["begun"], 10)
        one.calls.lasting.set()
        await until(lambda: one.state(run_ids[0]), "succeeded", "state")
        run = await find_run(one.database, run_ids[0])

    assert [len(news) for news in transactions] == [5]
    assert run is not None
    assert run["attempts"][0]["log"] == "begun\ndone"


async def test_calls_that_have_ended_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their outcome takes its time to be stored, as where there is too much to do: no reason to make it more."""
    async with calling(tmp_path, 1) as (one, live, [run_id]):
        transactions = noted(one, monkeypatch)
        answered = hold_back(one, monkeypatch, settle_attempts)
        let_pass(one, EVERY, monkeypatch)
        one.calls.lasting.set()
        await until(lambda: one.state(run_id), "succeeded", "state")
        assert len(one.dispatcher.attempts) == 1
        await live.keep()
        answered.set()

    assert transactions == []


async def test_what_cannot_be_stored_is_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with calling(tmp_path, 1) as (one, live, [run_id]):
        let_pass(one, EVERY, monkeypatch)
        for error in (Unavailable("away"), ValueError("nobody can store this")):
            with monkeypatch.context() as patched:
                patched.setattr(one.database, "commit", _raiser(error))
                await live.keep()
        await live.keep()
        read = await read_part(one.database, run_id, Position())

    assert read is not None
    assert (read.lines, read.run["progress"]["percent"]) == (["begun"], 10)


def _raiser(error: Exception) -> Any:
    async def commit(*_: Any) -> Any:
        await asyncio.sleep(0)
        raise error

    return commit
