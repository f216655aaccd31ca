"""What is foretold is what happens, and foretelling it changes nothing."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.core.once import Until
from gateway.core.request import Verb
from gateway.core.run import State
from gateway.store.forecast import Holding, forecast
from gateway.store.schema import events, keys, runs
from tests.store.scene import MINUTE, SECOND, Scene, event, request

STARTED, FINISHED = Until


async def nobody(scene: Scene) -> None:
    """The key is free."""


async def waiting(scene: Scene) -> None:
    await scene.ask()


async def running(scene: Scene) -> None:
    await scene.ask()
    await scene.claim_one()


async def retrying(scene: Scene) -> None:
    await scene.ask()
    await scene.fail(await scene.claim_one())


async def succeeded(scene: Scene) -> None:
    await scene.ask()
    await scene.succeed(await scene.claim_one())


@pytest.mark.parametrize("until", [STARTED, FINISHED, MINUTE])
@pytest.mark.parametrize("prepare", [nobody, waiting, running, retrying, succeeded])
async def test_a_forecast_comes_true(
    scene: Scene, prepare: Callable[[Scene], Awaitable[None]], until: Until | timedelta
) -> None:
    await prepare(scene)
    wanted = request(until=until, debounce=10 * SECOND)
    before = [await scene.rows(table) for table in (events, keys, runs)]

    (foretold,) = await forecast(scene.database, event(), [wanted])

    assert [await scene.rows(table) for table in (events, keys, runs)] == before
    (made,) = (await scene.accept(wanted)).decisions
    assert foretold.decision == made
    if made.decision is not Verb.DUPLICATE:
        assert foretold.due_at == (await scene.run(made.run_id)).due_at


async def test_the_holder_is_named_with_its_state(scene: Scene) -> None:
    made = await scene.ask()
    await scene.claim_one()

    (foretold,) = await forecast(scene.database, event(), [request()])

    assert foretold.held_by == Holding(made.run_id or "", State.RUNNING)


async def test_requests_of_one_event_meet_each_other(scene: Scene) -> None:
    first, second = request(), request(trigger="u")

    foretold = await forecast(scene.database, event(), [first, replace(second, run_id="other")])

    assert [one.decision.decision for one in foretold] == [Verb.ENQUEUED, Verb.MERGED]
    assert foretold[1].decision.run_id == first.run_id


async def test_a_request_without_a_key_meets_nobody(scene: Scene) -> None:
    await scene.ask()

    (foretold,) = await forecast(scene.database, event(), [request(key=None)])

    assert (foretold.decision.decision, foretold.held_by) == (Verb.ENQUEUED, None)
