"""Pauses of triggers, sources, keys and everything: nothing they hold is started, lost, or in anybody's way."""

import asyncio

import pytest
from sqlalchemy import Integer, func, insert, select, text, true

from gateway.core.request import Priority
from gateway.core.retry import Retry
from gateway.core.run import State
from gateway.store.aside import BATCH, give_back, has_ended_pauses
from gateway.store.claim import Claim, claim, next_due
from gateway.store.history import find_run, list_targets
from gateway.store.lanes import LaneLimit
from gateway.store.pause import Kind, Pausable
from gateway.store.pauses import Pauses, joined, list_pauses, origin
from gateway.store.schema import paused_runs, pauses, runs
from tests.store.invariants import check
from tests.store.query_plan import plan_of
from tests.store.scene import HOUR, MINUTE, SECOND, TARGET, Scene, opened, request

PAUSABLE = [
    (Kind.TRIGGER, "t", ""),
    (Kind.TRIGGER, "t", "k"),
    (Kind.SOURCE, "netbox", ""),
    (Kind.SOURCE, "netbox", "k"),
    (Kind.TARGET, TARGET, "k"),
    (Kind.EVERYTHING, "", ""),
]


async def waiting_for(scene: Scene, run_id: str | None) -> str | None:
    found = await find_run(scene.database, run_id or "")
    assert found is not None
    told: str | None = found["waiting_for"]
    return told


async def claimed(scene: Scene) -> list[str]:
    """As a node claims: what is held makes room for what comes after it."""
    while await scene.put_aside():
        pass
    return [run.id for run in await scene.claim()]


async def copy(scene: Scene, run_id: str | None, times: int) -> None:
    """Many runs like that one, made by the database itself."""
    numbers = text(
        f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {times}) "
        "SELECT n FROM numbers"
    ).columns(n=Integer)
    fresh = func.lower(func.hex(func.randomblob(18))) if scene.is_sqlite else func.gen_random_uuid()
    values = [fresh if column.name == "id" else column for column in runs.c]
    copies = select(*values).select_from(runs.join(numbers.subquery(), true())).where(runs.c.id == run_id)
    copying = insert(runs).from_select([column.name for column in runs.c], copies)
    await scene.database.transact(lambda connection: connection.execute(copying))


@pytest.mark.parametrize("what", PAUSABLE)
async def test_what_is_paused_waits_and_merges_and_is_one_run_when_it_is_resumed(
    scene: Scene, what: tuple[Kind, str, str]
) -> None:
    before = await scene.ask()
    await scene.pause(*what)
    for _ in range(3):
        assert (await scene.ask()).run_id == before.run_id
        assert await claimed(scene) == []
    await scene.resume(*what)

    assert await claimed(scene) == [before.run_id]
    assert len(await scene.event_ids(before.run_id)) == 4
    assert await scene.rows(pauses) == []
    await check(scene, 100)


@pytest.mark.parametrize("what", PAUSABLE)
async def test_a_pause_ends_by_itself(scene: Scene, what: tuple[Kind, str, str]) -> None:
    await scene.ask()
    await scene.pause(*what, lasting=MINUTE)
    assert await claimed(scene) == []
    scene.wait(MINUTE - SECOND)
    assert await claimed(scene) == []
    assert not await has_ended_pauses(scene.database)
    scene.wait(SECOND)
    assert await has_ended_pauses(scene.database)
    await scene.give_back()

    assert len(await claimed(scene)) == 1
    assert not await has_ended_pauses(scene.database)


@pytest.mark.parametrize(
    "what",
    [
        (Kind.TRIGGER, "other", ""),
        (Kind.TRIGGER, "t", "other"),
        (Kind.TRIGGER, "netbox", ""),
        (Kind.SOURCE, "t", ""),
        (Kind.SOURCE, "github", ""),
        (Kind.TARGET, TARGET, "other"),
        (Kind.TARGET, "other", "k"),
    ],
)
async def test_others_go_on(scene: Scene, what: tuple[Kind, str, str]) -> None:
    await scene.pause(*what)
    keyless, keyed = await scene.ask(None), await scene.ask()

    assert await claimed(scene) == [keyless.run_id, keyed.run_id]


async def test_what_is_held_is_in_the_way_of_nobody_behind_it(scene: Scene) -> None:
    await scene.pause(Kind.TRIGGER, "t")
    for _ in range(3):
        await scene.ask(None)
    free = await scene.ask(None, trigger="u")
    assert await scene.claim(slots=1) == []
    assert await scene.put_aside() == 3

    assert [run.id for run in await scene.claim(slots=1)] == [free.run_id]
    assert await scene.put_aside() == 0


async def test_a_retry_waits_for_the_pause_too_and_a_call_in_progress_ends(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    await scene.pause(Kind.TRIGGER, "t")
    await scene.fail(run)
    scene.wait(HOUR)
    assert await claimed(scene) == []
    await scene.resume(Kind.TRIGGER, "t")

    assert (await scene.claim_one()).id == run.id


async def test_a_job_that_has_been_started_is_followed_whatever_is_paused(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    await scene.fail(run)
    following = runs.update().where(runs.c.id == run.id).values(following=True)
    await scene.database.transact(lambda connection: connection.execute(following))
    await scene.pause(Kind.TRIGGER, "t")
    scene.wait(MINUTE)

    assert await claimed(scene) == [run.id]


async def test_a_request_that_is_not_paused_wakes_the_run_it_merges_into(scene: Scene) -> None:
    await scene.pause(Kind.TRIGGER, "t")
    held = await scene.ask()
    assert await claimed(scene) == []
    await scene.ask(trigger="u")

    assert await claimed(scene) == [held.run_id]


async def test_a_run_that_several_triggers_ask_for_waits_only_if_all_are_paused(scene: Scene) -> None:
    both = await scene.ask()
    await scene.ask(trigger="u")
    await scene.pause(Kind.TRIGGER, "t")
    await scene.pause(Kind.TRIGGER, "u")
    assert await claimed(scene) == []
    await scene.resume(Kind.TRIGGER, "u")

    assert await claimed(scene) == [both.run_id]


async def test_what_is_asked_for_by_hand_goes_on_though_it_is_of_a_paused_trigger(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    await scene.give_up(run)
    await scene.pause(Kind.TRIGGER, "t")
    again = await scene.repeat(run.id)

    assert await claimed(scene) == [again.run_id]


async def test_a_run_that_takes_over_from_another_is_of_those_who_asked_for_either(scene: Scene) -> None:
    """Whether the newer one came while the other ran, or while it waited for its next attempt."""
    await scene.ask()
    first = await scene.claim_one()
    behind = await scene.ask(trigger="u")
    await scene.fail(first)
    await scene.pause(Kind.TRIGGER, "u")
    scene.wait(MINUTE)
    assert await scene.put_aside() == 0
    second = await scene.claim_one()
    assert second.id == behind.run_id
    await scene.fail(second)
    newer = await scene.ask(trigger="u")
    scene.wait(MINUTE)

    assert await claimed(scene) == [newer.run_id]


async def test_cancelled_while_it_is_put_aside_it_does_not_come_back(scene: Scene) -> None:
    await scene.pause(Kind.TRIGGER, "t")
    held = await scene.ask()
    assert await claimed(scene) == []
    assert await scene.cancel(held.run_id) is State.CANCELLED
    await scene.resume(Kind.TRIGGER, "t")

    assert await claimed(scene) == []
    assert (await scene.ask()).run_id != held.run_id


async def test_of_two_pauses_that_hold_a_run_both_must_end(scene: Scene) -> None:
    held = await scene.ask()
    for what in PAUSABLE:
        await scene.pause(*what)
    for what in PAUSABLE:
        assert await claimed(scene) == []
        await scene.resume(*what)

    assert await claimed(scene) == [held.run_id]


async def test_paused_anew_before_all_were_given_back_the_others_stay(scene: Scene) -> None:
    await scene.pause(Kind.TRIGGER, "t", lasting=MINUTE)
    held = await scene.ask()
    assert await claimed(scene) == []
    scene.wait(MINUTE)
    await scene.pause(Kind.TRIGGER, "t")
    await scene.give_back()
    assert await claimed(scene) == []
    await scene.resume(Kind.TRIGGER, "t")

    assert await claimed(scene) == [held.run_id]


async def test_more_than_a_batch_comes_back(scene: Scene) -> None:
    await scene.pause(Kind.SOURCE, "netbox")
    for _ in range(2 * BATCH + 1):
        scene.later(request(None))
    await scene.accept_later()
    assert [await scene.put_aside() for _ in range(4)] == [BATCH, BATCH, 1, 0]
    await scene.resume(Kind.SOURCE, "netbox")

    assert await scene.rows(runs, runs.c.claimable.is_(False)) == []


async def test_nothing_has_ended_nothing_is_given_back(scene: Scene) -> None:
    await scene.pause(Kind.TRIGGER, "t")

    assert not await scene.database.commit(give_back, {})
    assert len(await scene.rows(pauses)) == 1


async def test_what_is_put_aside_takes_no_seat_in_its_lane(scene: Scene) -> None:
    scene.limits[TARGET] = LaneLimit(1, ordered=False)
    await scene.pause(Kind.TRIGGER, "t")
    held = await scene.ask(None, lane="l")
    free = await scene.ask(None, lane="l", trigger="u")
    assert await claimed(scene) == [free.run_id]
    await check(scene, 100)
    await scene.resume(Kind.TRIGGER, "t")
    assert await claimed(scene) == []
    await check(scene, 100)
    assert await waiting_for(scene, held.run_id) == "other runs of 'l'"


async def test_in_an_ordered_lane_it_keeps_its_turn(scene: Scene) -> None:
    scene.limits[TARGET] = LaneLimit(1, ordered=True)
    await scene.pause(Kind.TRIGGER, "t")
    held = await scene.ask(None, lane="l")
    scene.wait(SECOND)
    await scene.ask(None, lane="l", trigger="u")
    assert await claimed(scene) == []
    await scene.resume(Kind.TRIGGER, "t")

    assert await claimed(scene) == [held.run_id]
    await check(scene, 100)


async def test_who_waits_says_for_what_until_when_by_whom_and_why(scene: Scene) -> None:
    held = await scene.ask()
    told = {
        (Kind.EVERYTHING, "", ""): "everything",
        (Kind.TARGET, TARGET, "k"): "the key 'k' of the target",
        (Kind.TRIGGER, "t", ""): "the trigger t",
        (Kind.SOURCE, "netbox", "k"): "the key 'k' of the source netbox",
    }
    for what, name in told.items():
        await scene.pause(*what, reason="cut-over", lasting=MINUTE)
        expected = f"{name} to be resumed, paused by me until 2027-01-15T22:01:00Z: cut-over"
        assert await waiting_for(scene, held.run_id) == expected
        assert await claimed(scene) == []
        assert await waiting_for(scene, held.run_id) == expected
        await scene.resume(*what)

    assert await waiting_for(scene, held.run_id) == "a free slot of the target"


async def test_while_everything_is_paused_targets_are_and_nobody_looks_for_work(scene: Scene) -> None:
    await scene.ask()
    await scene.pause(Kind.EVERYTHING)
    assert [(one["state"], one["paused"]["by"]) for one in await list_targets(scene.database)] == [("paused", "me")]
    async with scene.database.read() as connection:
        assert await next_due(connection, [TARGET]) == {}
    await scene.pause(Kind.EVERYTHING, lasting=MINUTE)
    async with scene.database.read() as connection:
        assert await next_due(connection, [TARGET]) == {TARGET: scene.now + MINUTE}
    assert [(one["kind"], one["name"], one["until"]) for one in await list_pauses(scene.database)] == [
        ("everything", "", scene.now + MINUTE)
    ]


async def test_time_in_vain_is_not_counted_by_max_elapsed(scene: Scene) -> None:
    """Neither by a pause by hand nor by anything else that keeps a run that is due from being called."""
    policy = Retry.model_validate({"attempts": 100, "delays": ["10s"], "max_elapsed": "30s"})
    await scene.ask()
    for _ in range(2):
        await scene.fail(await scene.claim_one(), retry=policy)
        scene.wait(10 * SECOND)
        await scene.pause(Kind.TRIGGER, "t")
        scene.wait(10 * HOUR)
        await scene.resume(Kind.TRIGGER, "t")
    assert (await scene.fail(await scene.claim_one(), retry=policy)).state is State.RETRYING
    scene.wait(10 * SECOND)

    assert (await scene.fail(await scene.claim_one(), retry=policy)).state is State.FAILED


async def test_a_claim_reads_nothing_of_100_000_runs_that_are_put_aside(scene: Scene) -> None:
    await scene.pause(Kind.TRIGGER, "t")
    held = await scene.ask(None)
    assert await claimed(scene) == []
    await copy(scene, held.run_id, 100_000)
    free = await scene.ask(None, trigger="u", priority=Priority.NORMAL)
    if not scene.is_sqlite:
        async with scene.aside() as connection:
            await connection.exec_driver_sql("ANALYZE runs")
            await connection.commit()
    wanted = Claim(node_id=scene.node.id, target=TARGET, limit=1000, slots=1000)
    plan = await plan_of(scene.database, claim, wanted, "WITH")

    assert plan.count("runs_claimable") >= 2
    assert "SCAN runs" not in plan
    assert "Seq Scan on runs" not in plan
    assert (await scene.run(free.run_id)).state == State.RUNNING


async def test_two_nodes_that_claim_put_aside_and_give_back_at_once_leave_nobody_behind(
    kept_postgres_url: str, postgres_scene: Scene
) -> None:
    """Whatever meets whatever: in the end no run is put aside for a pause that there is not."""
    one = postgres_scene
    async with opened(kept_postgres_url) as other:
        for turn in range(15):
            await one.pause(Kind.TRIGGER, "t")
            asked = [one.ask(f"k{turn}-{number}") for number in range(20)]
            await asyncio.gather(*asked, *(scene.put_aside() for scene in (one, other) for _ in range(5)))
            await asyncio.gather(
                one.resume(Kind.TRIGGER, "t"),
                *(scene.put_aside() for scene in (one, other) for _ in range(5)),
                other.give_back(),
                *(other.ask(f"k{turn}-{number}") for number in range(20, 40)),
            )
            assert await one.rows(runs, runs.c.paused) == []
            assert await one.rows(paused_runs) == []
        assert await one.rows(pauses) == []
        assert {row.claimable for row in await one.rows(runs)} == {True}


def test_no_two_pausable_things_have_the_same_id() -> None:
    named = [Pausable(kind, name, key) for kind in Kind for name in ("a", "b") for key in ("", "a", "a b", " ")]

    assert len({what.id for what in named}) == len(named)


def test_a_run_of_before_that_nobody_is_known_to_have_asked_for_is_held_by_its_key_alone() -> None:
    assert joined("", origin("t", "s"), joined(origin(None, "api"), origin("t", "s"))) == "@api t@s"
    assert Pauses().holding(_Old()) == ()
    assert Pauses({Pausable(Kind.TRIGGER, ""): None, Pausable(Kind.SOURCE, ""): None}).holding(_Old()) == ()


class _Old:
    target = TARGET
    key = "k"
    origins = ""
    following = False
