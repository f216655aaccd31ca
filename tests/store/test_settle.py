"""What an attempt leaves behind, and who may say so."""

import asyncio
from datetime import timedelta
from typing import NoReturn

import orjson
import pytest

from gateway.core.outcome import (
    BrokenOff,
    Cancelled,
    Lost,
    Outcome,
    PermanentFailure,
    RetryableFailure,
    Succeeded,
)
from gateway.core.retry import Retry
from gateway.core.run import State
from gateway.runtime.chain import Announcement
from gateway.store.history import find_run
from gateway.store.schema import attempts, events, runs
from tests.store.clockwork import EMPTY, configured
from tests.store.scene import SECOND, TARGET, Scene, request


@pytest.mark.parametrize(
    ("outcome", "state", "failures", "losses"),
    [
        (Succeeded(output={"id": 1}), State.SUCCEEDED, 0, 0),
        (RetryableFailure(reason="boom", status=503), State.RETRYING, 1, 0),
        (PermanentFailure(reason="no", status=400), State.FAILED, 1, 0),
        (BrokenOff(), State.RETRYING, 0, 0),
        (Lost(), State.RETRYING, 0, 1),
        (Cancelled(), State.CANCELLED, 0, 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Outcome) else None,
)
async def test_every_outcome(scene: Scene, outcome: Outcome, state: State, failures: int, losses: int) -> None:
    await scene.ask()
    run = await scene.claim_one()
    scene.wait(SECOND)
    ended = await scene.end(run, outcome, log="line")

    row = await scene.run(run.id)
    (attempt,) = await scene.rows(attempts)
    assert ended.state == row.state == state
    assert (row.failures, row.losses) == (failures, losses)
    assert row.finished_at == (None if state is State.RETRYING else scene.now)
    assert row.output == (b'{"id":1}' if state is State.SUCCEEDED else None)
    assert (attempt.number, attempt.node, attempt.log) == (1, "alpha", "line")
    assert (attempt.started_at, attempt.finished_at) == (run.attempt_started_at, scene.now)
    assert (attempt.status, attempt.reason) == (outcome.status, outcome.reason)


async def test_a_failed_run_is_tried_again_when_it_is_due_and_not_before(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    await scene.end(run, RetryableFailure(reason="busy", retry_after=60 * SECOND))
    scene.wait(59 * SECOND)
    assert await scene.claim() == []
    scene.wait(SECOND)
    again = await scene.claim_one()

    assert (again.id, again.attempt, again.failures, again.started_at) == (run.id, 2, 1, run.started_at)
    assert again.attempt_started_at == scene.now


async def test_broken_off_and_lost_runs_are_due_at_once(scene: Scene) -> None:
    await scene.ask()
    for outcome in (BrokenOff(), Lost()):
        await scene.end(await scene.claim_one(), outcome)

    assert (await scene.claim_one()).attempt == 3


async def test_after_its_attempts_a_run_fails(scene: Scene) -> None:
    await scene.ask()
    for _ in range(5):
        ended = await scene.fail(await scene.claim_one())
        scene.wait(10 * SECOND)

    assert ended.state is State.FAILED
    assert (await scene.run(ended.run.id)).reason == "boom; gave up after 5 attempts"
    assert [row.number for row in await scene.rows(attempts)] == [1, 2, 3, 4, 5]
    assert await scene.claim() == []


async def test_l10_a_late_result_overwrites_nothing(scene: Scene) -> None:
    """Its node lost the lease while the target still answered, and the run is being carried out elsewhere."""
    await scene.ask()
    late = await scene.claim_one()
    await scene.crash()
    again = await scene.claim_one()
    before = await scene.run(late.id)

    assert await scene.settle(late, Succeeded(output="late")) is None
    assert await scene.run(late.id) == before
    assert (again.id, again.attempt) == (late.id, 2)
    await scene.succeed(again)
    assert await scene.settle(again, PermanentFailure()) is None
    found = await find_run(scene.database, late.id)
    assert found is not None
    assert [one["outcome"] for one in found["attempts"]] == ["lost", "succeeded"]


async def test_one_attempt_ends_once_even_in_one_commit(scene: Scene) -> None:
    """The janitor says that it is lost at the moment at which its node says how it ended."""
    await scene.ask()
    run = await scene.claim_one()
    ended = await asyncio.gather(*(scene.settle(run, outcome) for outcome in (Lost(), Succeeded(), Lost())))

    assert sum(one is not None for one in ended) == 1
    assert len(await scene.rows(attempts)) == 1


async def test_a_final_run_never_changes(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    await scene.succeed(run)
    before = await scene.run(run.id)
    for outcome in (RetryableFailure(), Lost(), Cancelled()):
        assert await scene.settle(run, outcome) is None

    assert await scene.run(run.id) == before


@pytest.mark.parametrize("text", ["a\0b", "half \ud800 a pair", "\x1b[31m", "🦆" * 1000])
async def test_whatever_a_target_writes_can_be_kept(scene: Scene, text: str) -> None:
    """Otherwise its run could never end."""
    await scene.ask()
    run = await scene.claim_one()
    await scene.end(run, PermanentFailure(reason=text), log=text)
    found = await find_run(scene.database, run.id)

    assert found is not None
    kept = found["attempts"][0]["log"]
    assert kept == found["reason"] == text.replace("\0", "\N{REPLACEMENT CHARACTER}").replace("\ud800", "?")
    orjson.dumps(found)


async def test_max_elapsed_counts_from_the_first_call(scene: Scene) -> None:
    await scene.ask()
    policy = Retry(attempts=100, delays=(60 * SECOND,), max_elapsed=timedelta(minutes=3))
    states = []
    for _ in range(4):
        run = await scene.claim_one()
        states.append((await scene.fail(run, retry=policy)).state)
        scene.wait(60 * SECOND)

    assert states == [State.RETRYING, State.RETRYING, State.RETRYING, State.FAILED]


CHAINED = {"on": {"run": "t", "state": "succeeded"}, "target": TARGET, "once": {"key": "next"}}
ANNOUNCER = Announcement(configured(triggers={"chain": CHAINED}))


async def test_the_end_of_a_run_is_an_event_of_the_same_commit(scene: Scene) -> None:
    first = await scene.accept(request())
    await scene.succeed(await scene.claim_one(), announcer=ANNOUNCER)
    chained = await scene.claim_one()

    assert (chained.trigger, chained.key, chained.depth) == ("chain", "next", 1)
    assert chained.origin_event_id == first.event_id
    assert sorted(row.source for row in await scene.rows(events)) == ["gateway", "netbox"]


async def test_ends_that_cannot_be_announced_harm_no_other(scene: Scene) -> None:
    class Broken(Announcement):
        def run_ended(self, *_: object) -> NoReturn:
            raise ValueError("no such thing")

    for _ in range(8):
        await scene.ask(None)
    first, *others = await scene.claim()
    results = await asyncio.gather(
        scene.settle(first, Succeeded(), announcer=Broken(EMPTY)),
        *(scene.settle(run, Succeeded()) for run in others),
        return_exceptions=True,
    )

    assert isinstance(results[0], ValueError)
    assert sorted(await scene.states()) == [State.RUNNING] + 7 * [State.SUCCEEDED]


async def test_chains_settle_in_one_batch(scene: Scene) -> None:
    for _ in range(10):
        await scene.ask(None)
    claimed = await scene.claim()
    await asyncio.gather(*(scene.succeed(run, announcer=ANNOUNCER) for run in claimed))

    assert (await scene.claim_one()).events == 10
    assert len(await scene.rows(runs)) == 11
