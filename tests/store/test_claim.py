"""Claiming: order, limits over all nodes, pauses, and claims whose fate a node never learned."""

import asyncio
from collections import Counter
from dataclasses import replace

from sqlalchemy import update

from gateway.core.ids import new_id
from gateway.core.request import Priority
from gateway.core.run import State
from gateway.store.claim import Claim, claim, next_due
from gateway.store.history import list_targets
from gateway.store.lanes import LaneLimit
from gateway.store.schema import is_running, nodes, runs
from tests.store.query_plan import plan_of
from tests.store.scene import MINUTE, SECOND, TARGET, Scene, opened, request


async def test_a_claimed_run_is_this_nodes(scene: Scene) -> None:
    decision = await scene.ask(payload=b'{"a":1}', trigger="t", requested_by="me")
    run = await scene.claim_one()
    row = await scene.run(run.id)

    assert run.id == decision.run_id
    assert (run.payload, run.attempt, run.started_at, run.requested_by) == (b'{"a":1}', 1, scene.now, "me")
    assert (row.state, row.node_id, row.attempt, row.claimable) == (State.RUNNING, scene.node.id, 1, False)
    assert await scene.claim() == []


async def test_runs_go_by_priority_then_due_time_then_id(scene: Scene) -> None:
    late = await scene.ask(None, due_at=scene.now - SECOND)
    first, second = await scene.ask(None), await scene.ask(None)
    early = await scene.ask(None, due_at=scene.now - MINUTE)
    high = await scene.ask(None, priority=Priority.HIGH)
    await scene.ask(None, priority=Priority.HIGH, due_at=scene.now + SECOND)
    order = [(await scene.claim_one(slots=1)).id for _ in range(5)]

    assert order == [high.run_id, early.run_id, late.run_id, first.run_id, second.run_id]
    assert await scene.claim() == []


async def test_a_claim_takes_what_is_free_and_no_more(scene: Scene) -> None:
    for _ in range(10):
        await scene.ask(None)

    assert len(await scene.claim(limit=5, slots=3)) == 3
    assert len(await scene.claim(limit=5, slots=3)) == 2
    assert await scene.claim(limit=5, slots=3) == []
    assert await scene.claim(limit=5, slots=0) == []


async def test_targets_do_not_take_each_others_slots(scene: Scene) -> None:
    await scene.ask(None)
    await scene.ask(None, target="other")
    await scene.pause_target("other")
    await scene.resume_target("other")

    assert len(await scene.claim(limit=1)) == 1
    assert len(await scene.claim("other", limit=1)) == 1
    assert await scene.claim("unknown", limit=1) == []


async def test_p4_never_more_than_the_limit_over_all_nodes(postgres_scene: Scene, kept_postgres_url: str) -> None:
    for _ in range(60):
        postgres_scene.later(request(None))
    await postgres_scene.accept_later()
    done: Counter[str] = Counter()
    in_progress: list[int] = []

    async def work(node: Scene) -> None:
        while done.total() < 60:
            claimed = await node.claim(limit=3, slots=3)
            in_progress.append(len(await node.rows(runs, is_running)))
            for run in claimed:
                await node.succeed(run)
                done[run.id] += 1

    async with opened(kept_postgres_url) as second, opened(kept_postgres_url) as third:
        await asyncio.gather(work(postgres_scene), work(second), work(third))
    assert max(in_progress) == 3
    assert set(done.values()) == {1}


async def test_a_paused_target_claims_nothing_until_it_is_resumed(scene: Scene) -> None:
    await scene.pause_target(reason="upgrade")
    decision = await scene.ask()
    merged = await scene.ask()
    assert merged.run_id == decision.run_id
    assert await scene.claim() == []
    (shown,) = await list_targets(scene.database, [TARGET])
    assert (shown["state"], shown["paused"]) == ("paused", {"by": "me", "reason": "upgrade", "until": None})

    await scene.resume_target()
    assert (await scene.claim_one()).events == 2


async def test_a_pause_may_end_by_itself(scene: Scene) -> None:
    await scene.ask()
    until = await scene.pause_target(lasting=MINUTE)
    scene.wait(MINUTE - SECOND)
    assert await scene.claim() == []
    async with scene.database.read() as connection:
        assert await next_due(connection, [TARGET]) == {TARGET: until}
    scene.wait(SECOND)

    assert until == scene.now
    assert len(await scene.claim()) == 1


async def test_a_target_that_no_node_has_made_known_can_be_paused(scene: Scene) -> None:
    await scene.pause_target("elsewhere")

    assert [one["state"] for one in await list_targets(scene.database, ["elsewhere"])] == ["paused"]


async def test_the_next_due_time_is_known(scene: Scene) -> None:
    async with scene.database.read() as connection:
        assert await next_due(connection, [TARGET]) == {}
    await scene.ask(None, due_at=scene.now + MINUTE)
    await scene.ask(None, due_at=scene.now + SECOND, priority=Priority.HIGH)
    async with scene.database.read() as connection:
        assert await next_due(connection, [TARGET, "unknown"]) == {TARGET: scene.now + SECOND}


async def test_a_claim_whose_fate_was_never_learned_is_handed_out_again(scene: Scene) -> None:
    await scene.ask(None)
    lost = await scene.claim_one()
    again = await scene.claim(executing=frozenset(), limit=1)

    assert again == [lost]
    assert await scene.claim(executing=frozenset({lost.id}), limit=1) == []


async def test_what_was_handed_out_again_counts_among_the_slots(scene: Scene) -> None:
    for _ in range(5):
        await scene.ask(None)
    lost = await scene.claim(slots=2, limit=4)
    claimed = await scene.claim(slots=3, limit=4, executing=frozenset())

    assert len(claimed) == 3
    assert claimed[:2] == lost
    assert len(await scene.rows(runs, is_running)) == 3


async def test_a_node_without_a_lease_claims_nothing(postgres_scene: Scene) -> None:
    scene = postgres_scene
    await scene.ask()
    assert await scene.claim(node_id=new_id()) == []
    over = update(nodes).values(lease_until=scene.now.replace(year=2020))
    await scene.database.transact(lambda connection: connection.execute(over))

    assert await scene.claim() == []


async def test_claims_of_several_targets_share_a_commit(scene: Scene) -> None:
    await scene.ask(None, target="b")
    await scene.ask(None, target="a")
    for name in ("a", "b"):
        await scene.pause_target(name)
        await scene.resume_target(name)
    wanted = Claim(node_id=scene.node.id, target="b", limit=1, slots=1)
    claimed = await asyncio.gather(
        *(scene.database.commit(claim, replace(wanted, target=name)) for name in ("b", "a", "none"))
    )

    assert [[run.target for run in one] for one in claimed] == [["b"], ["a"], []]


async def test_the_claim_reads_an_index_that_holds_only_what_could_start(scene: Scene) -> None:
    """So that a million runs of a paused target, or behind others, cost nothing."""
    await scene.ask()
    await scene.claim_one()
    for _ in range(2000):
        scene.later(request(None, lane="l"))
    scene.limits[TARGET] = LaneLimit(1, ordered=False)
    await scene.accept_later()
    await scene.ask()  # behind
    if not scene.is_sqlite:
        async with scene.aside() as connection:
            await connection.exec_driver_sql("ANALYZE runs")
            await connection.commit()
    assert [row.claimable for row in await scene.rows(runs)].count(True) == 1
    wanted = Claim(node_id=scene.node.id, target=TARGET, limit=1000, slots=1000)
    plan = await plan_of(scene.database, claim, wanted, "WITH")

    assert plan.count("runs_claimable") >= 2
    assert "SCAN runs" not in plan
    assert "Seq Scan on runs" not in plan
