"""How much each target has to do, and in which trace."""

from collections.abc import Sequence
from datetime import timedelta

from gateway.core.outcome import RetryableFailure
from gateway.store import load
from gateway.store.load import loads_of_targets
from gateway.store.pause import Kind, Pausable, Pause
from gateway.store.target_pauses import TargetPause, pause_targets
from gateway.store.writer import Work
from tests.store.query_plan import plan_of
from tests.store.scene import TARGET, Scene, request

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_all_unfinished_runs_of_a_target_are_counted(scene: Scene) -> None:
    """Those that wait for their next attempt wait, too; those that are over count no more."""
    began = scene.now
    await scene.ask("first")
    scene.wait(timedelta(minutes=1))
    await scene.ask("second")
    await scene.ask("elsewhere", target="other")
    [first, second] = await scene.claim()
    await scene.end(first, RetryableFailure())
    await scene.succeed(second)
    await scene.ask("third")
    loads = await loads_of_targets(scene.database)

    assert (loads[TARGET].waiting, loads[TARGET].running, loads[TARGET].oldest) == (2, 0, began)
    assert (loads["other"].waiting, loads["other"].running) == (1, 0)


async def test_runs_in_progress_do_not_wait(scene: Scene) -> None:
    await scene.ask()
    await scene.claim_one()
    loads = await loads_of_targets(scene.database)

    assert (loads[TARGET].waiting, loads[TARGET].running, loads[TARGET].oldest) == (0, 1, None)


async def test_a_pause_by_hand_is_seen_until_it_ends(scene: Scene) -> None:
    pause = Pause(what=Pausable(Kind.TARGET, TARGET), by="somebody", lasting=timedelta(minutes=1))
    await scene.database.commit(pause_targets, TargetPause(pause=pause))
    during = await loads_of_targets(scene.database)
    scene.wait(timedelta(minutes=2))
    afterwards = await loads_of_targets(scene.database)

    assert (during[TARGET].paused, afterwards[TARGET].paused) == (True, False)


async def test_a_target_that_cannot_be_reached_is_open(scene: Scene) -> None:
    for number in range(5):
        await scene.ask(f"key-{number}")
        await scene.end(await scene.claim_one(), RetryableFailure(reached=False))
    loads = await loads_of_targets(scene.database)

    assert loads[TARGET].open


async def test_counting_looks_at_no_run_that_is_over(scene: Scene) -> None:
    def count(work: Work, requests: Sequence[None]) -> list[None]:
        work.connection.execute(load._UNFINISHED).all()
        return [None for _ in requests]

    if scene.is_sqlite:
        assert "USING INDEX runs_unfinished_event" in await plan_of(scene.database, count, None, "SELECT")


async def test_a_run_keeps_the_trace_of_its_first_event(scene: Scene) -> None:
    """Through a merge, and a retry by hand."""
    await scene.accept(request(), traceparent=TRACEPARENT)
    await scene.accept(request(), traceparent=TRACEPARENT.replace("b", "c"))
    run = await scene.claim_one()
    await scene.give_up(run)
    await scene.repeat(run.id)
    again = await scene.claim_one()

    assert run.traceparent == again.traceparent == TRACEPARENT
    assert again.origin_event_id == run.origin_event_id
