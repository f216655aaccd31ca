"""A node's lease: who holds one may carry out its runs, and nobody else does."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update

from gateway.core.outcome import Lost, Succeeded
from gateway.core.run import State
from gateway.store.clock import database_now
from gateway.store.leases import Node, list_nodes, lost_runs, register, renew, retire, touch
from gateway.store.schema import nodes
from tests.store.scene import HOUR, LEASE, SECOND, Scene, node, opened


async def expire(scene: Scene, who: Node) -> None:
    """Lets the lease of a node be over, by the database's clock."""
    over = update(nodes).where(nodes.c.id == who.id).values(lease_until=select(database_now()).scalar_subquery())
    await scene.database.transact(lambda connection: connection.execute(over))


async def test_a_crashed_nodes_runs_are_due_again_and_that_is_no_attempt(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    assert await lost_runs(scene.database) == []
    await scene.crash()
    again = await scene.claim_one()

    assert (again.id, again.attempt, again.failures, again.losses) == (run.id, 2, 0, 1)


async def test_after_five_losses_a_run_fails_and_says_so(scene: Scene) -> None:
    await scene.ask()
    for _ in range(5):
        await scene.claim_one()
        (ended,) = await scene.crash()

    assert ended.state is State.FAILED
    assert "gave up after 5 losses" in (await scene.run(ended.run.id)).reason


async def test_what_must_not_be_called_twice_fails_at_once(scene: Scene) -> None:
    await scene.ask()
    await scene.claim_one()
    (ended,) = await scene.crash(repeat_lost=False)

    assert ended.state is State.FAILED


async def test_a_lost_run_gives_way_to_the_one_behind_it(scene: Scene) -> None:
    await scene.ask()
    await scene.claim_one()
    behind = await scene.ask()
    await scene.crash()

    taken = await scene.claim_one()
    assert (taken.id, taken.events) == (behind.run_id, 2)


async def test_a_lease_is_renewed_until_it_is_over(postgres_scene: Scene) -> None:
    scene = postgres_scene
    assert await renew(scene.database, scene.node.id, LEASE)
    await expire(scene, scene.node)

    assert not await renew(scene.database, scene.node.id, LEASE)
    assert await list_nodes(scene.database) == []


async def test_only_the_databases_clock_counts(postgres_scene: Scene) -> None:
    """L09: a node whose own clock is an hour ahead takes nobody's runs."""
    scene = postgres_scene
    await scene.ask()
    await scene.claim_one()
    scene.wait(HOUR)

    assert await lost_runs(scene.database) == []
    assert await renew(scene.database, scene.node.id, LEASE)


async def test_l06_two_nodes_of_the_same_name_are_two_nodes(postgres_scene: Scene, kept_postgres_url: str) -> None:
    async with opened(kept_postgres_url) as twin:
        assert twin.node.name == postgres_scene.node.name
        await postgres_scene.ask(None)
        await postgres_scene.ask(None)
        mine, its = await postgres_scene.claim_one(slots=1), await twin.claim_one(slots=1)
        await retire(twin.database, twin.node.id)

        assert len(await list_nodes(twin.database)) == 1
        assert [run.id for run in await lost_runs(postgres_scene.database)] == [its.id]
        assert (await postgres_scene.succeed(mine)).state is State.SUCCEEDED


async def test_l10_whose_lease_is_over_may_settle_until_somebody_took_the_run(postgres_scene: Scene) -> None:
    scene = postgres_scene
    await scene.ask(None)
    await scene.ask(None)
    in_time, late = await scene.claim()
    await expire(scene, scene.node)
    assert (await scene.succeed(in_time)).state is State.SUCCEEDED
    (lost,) = await lost_runs(scene.database)
    await scene.end(lost, Lost())

    assert lost.id == late.id
    assert await scene.settle(late, Succeeded()) is None


async def test_a_renewal_under_way_and_a_loss_exclude_each_other(postgres_scene: Scene) -> None:
    """While a renewal is not committed yet, nobody takes the runs; once they are lost, no renewal succeeds."""
    scene = postgres_scene
    await scene.ask()
    await scene.claim_one()
    await expire(scene, scene.node)
    async with scene.aside() as connection:
        await connection.execute(text("UPDATE nodes SET lease_until = lease_until + 60000000"))
        looking = asyncio.create_task(lost_runs(scene.database))
        await asyncio.sleep(0.1)
        assert not looking.done()
        await connection.commit()

    assert await looking == []
    await expire(scene, scene.node)
    assert len(await lost_runs(scene.database)) == 1
    assert not await renew(scene.database, scene.node.id, LEASE)


async def test_d09_leases_renew_while_readers_take_every_connection(postgres_scene: Scene) -> None:
    scene = postgres_scene

    async def read_slowly() -> None:
        async with scene.database.read() as connection:
            await connection.execute(text("SELECT pg_sleep(10)"))

    readers = [asyncio.create_task(read_slowly()) for _ in range(40)]
    await asyncio.sleep(0.3)
    async with asyncio.timeout(4):
        assert await renew(scene.database, scene.node.id, LEASE)
        assert (await scene.ask()).run_id
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)


async def test_probing_takes_no_connection_for_good(postgres_scene: Scene) -> None:
    for _ in range(30):
        await touch(postgres_scene.database, postgres_scene.node.id)


async def test_on_sqlite_leases_do_not_end(scene: Scene) -> None:
    if not scene.is_sqlite:
        pytest.skip("on PostgreSQL they do")
    assert await renew(scene.database, scene.node.id, timedelta(0))
    assert (await list_nodes(scene.database))[0]["lease_until"] is None
    await register(scene.database, node("next"), SECOND)  # at the next start all are void

    assert [one["name"] for one in await list_nodes(scene.database)] == ["next"]
