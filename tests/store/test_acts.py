"""What is done by hand is on record exactly when it is done."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.core.errors import Conflict
from gateway.core.run import State
from gateway.store.acts import Act, Acted, acting, on_record
from gateway.store.schema import audit
from gateway.store.writer import Work
from tests.store.scene import Scene


def by_hand(**about: Any) -> Act:
    return Act(actor="ops", action="cancel", kind="run", **about)


async def test_the_row_comes_with_the_commit(scene: Scene) -> None:
    run_id = (await scene.ask(None)).run_id
    with acting(by_hand(name=run_id, reason="a mistake", address="::1", asked={"a": 1})):
        await scene.cancel(run_id)
    await scene.ask(None)
    [row] = await scene.rows(audit)

    assert (row.at, row.actor, row.address, row.name, row.reason) == (scene.now, "ops", "::1", run_id, "a mistake")
    assert (row.outcome, row.count, row.asked) == ("cancelled", 1, b'{"a":1}')


async def test_what_is_refused_or_fails_leaves_none(scene: Scene) -> None:
    await scene.ask(None)
    run = await scene.claim_one()
    await scene.succeed(run)

    def fail(_work: Work, _requests: Sequence[int]) -> list[int]:
        raise ValueError("boom")

    with acting(by_hand()):
        with pytest.raises(Conflict):
            await scene.cancel(run.id)
        with pytest.raises(ValueError, match="boom"):
            await scene.database.commit(fail, 1)

    assert await scene.rows(audit) == []


async def test_an_act_of_many_is_one_row_however_they_are_committed(scene: Scene) -> None:
    ids = [(await scene.ask(None)).run_id for _ in range(30)]
    with acting(by_hand()):
        await asyncio.gather(*(scene.cancel(run_id) for run_id in ids[:20]))
        await asyncio.gather(*(scene.cancel(run_id) for run_id in ids[20:]))
    [row] = await scene.rows(audit)

    assert (row.count, row.outcome) == (30, None)


async def test_several_at_once_are_told_apart(scene: Scene) -> None:
    ids = [(await scene.ask(None)).run_id for _ in range(10)]

    async def cancel(run_id: str | None) -> State:
        with acting(by_hand(name=run_id)):
            return await scene.cancel(run_id)

    await asyncio.gather(*map(cancel, ids))

    assert {row.name for row in await scene.rows(audit)} == set(ids)


async def test_a_commit_that_is_repeated_is_recorded_once(scene: Scene) -> None:
    """Nobody knew whether the first had come about."""
    act = by_hand()

    def twice(work: Work, requests: Sequence[str]) -> list[State]:
        recorded = on_record(lambda _work, done: [State.CANCELLED for _ in done])
        for repeated in (False, True):
            recorded(Work(work.connection, work.now, repeated), [Acted("x", act) for _ in requests])
        return [State.CANCELLED for _ in requests]

    await scene.database.commit(twice, "x")
    [row] = await scene.rows(audit)

    assert (row.count, row.outcome) == (1, "cancelled")


def test_what_is_kept_of_a_body() -> None:
    act = by_hand(reason="by header")
    act.hear({"name": "nightly", "payload": {"a": 1}, "data": 1, "object": 2, "cron": "0 1 * * *", "reason": None})
    assert (act.name, act.reason, act.asked) == ("nightly", "by header", {"cron": "0 1 * * *"})

    act.hear({"reason": "by body"})
    assert (act.name, act.reason, act.asked) == ("nightly", "by body", {})
