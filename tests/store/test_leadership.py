"""At most one node leads, and what is written by one that led is refused."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from gateway.store.clock import database_now
from gateway.store.leadership import (
    Candidacy,
    Leading,
    NotLeading,
    Renewal,
    check_leading,
    renew,
    resign,
    seek,
    who_leads,
)
from gateway.store.leases import Node
from gateway.store.schema import leadership
from gateway.store.writer import Work
from tests.faults.mutations import module_with
from tests.store.scene import HOUR, LEASE, Scene, all_of, node, opened

Check = Callable[[Work, Leading], None]


@pytest.fixture
async def other(postgres_scene: Scene) -> AsyncIterator[Scene]:
    """A second node on the database of `postgres_scene`, of the same name."""
    async with opened(postgres_scene.database.settings.url.get_secret_value()) as scene:
        yield scene


async def elect(scene: Scene, candidate: Node | None = None, lease: timedelta = LEASE) -> Leading | None:
    return await scene.database.commit(seek, Candidacy(node=candidate or scene.node, lease=lease))


async def elected(scene: Scene, candidate: Node | None = None, lease: timedelta = LEASE) -> Leading:
    leading = await elect(scene, candidate, lease)
    assert leading is not None
    return leading


async def expire(scene: Scene) -> None:
    """Lets the leader's lease be over, by the database's clock."""
    over = update(leadership).values(lease_until=select(database_now()).scalar_subquery())
    await scene.database.transact(lambda connection: connection.execute(over))


async def prolong(scene: Scene, leading: Leading) -> bool:
    return await scene.database.commit(renew, Renewal(leading=leading, lease=LEASE))


async def write(scene: Scene, leading: Leading, check: Check = check_leading) -> None:
    """Does what a leader does."""
    await scene.database.transact(lambda connection: check(Work(connection, scene.now), leading))


async def test_the_first_who_asks_leads(scene: Scene) -> None:
    assert await who_leads(scene.database) is None
    assert await elected(scene) == Leading(node_id=scene.node.id, epoch=1)

    leader = await who_leads(scene.database)
    assert leader is not None
    assert leader.pop("lease_until") > scene.database.now() - 365 * 24 * HOUR
    assert leader == {"node_id": scene.node.id, "node": scene.node.name, "epoch": 1}


async def test_of_many_candidates_one_is_elected(postgres_scene: Scene, other: Scene) -> None:
    """Also where there has been no leader ever, and where the last one is gone."""
    for epoch in (1, 2):
        elections = await all_of(*[elect(scene, node()) for scene in (postgres_scene, other) for _ in range(20)])
        assert [leading.epoch for leading in elections if leading] == [epoch]
        await expire(postgres_scene)


async def test_nobody_takes_over_before_the_lease_is_over(postgres_scene: Scene, other: Scene) -> None:
    await elected(postgres_scene)
    assert await elect(other) is None
    await expire(postgres_scene)

    assert await elected(other) == Leading(node_id=other.node.id, epoch=2)
    assert await elect(postgres_scene) is None


async def test_a_lease_is_over_when_its_time_has_come(postgres_scene: Scene, other: Scene) -> None:
    await elected(postgres_scene, lease=timedelta(milliseconds=100))
    assert await elect(other) is None
    await asyncio.sleep(0.12)

    assert await who_leads(other.database) is None
    assert (await elected(other)).epoch == 2


async def test_l09_only_the_databases_clock_counts(postgres_scene: Scene, other: Scene) -> None:
    await elected(postgres_scene)
    other.wait(HOUR)

    assert await elect(other) is None


async def test_l06_two_nodes_of_the_same_name_are_two(postgres_scene: Scene, other: Scene) -> None:
    assert postgres_scene.node.name == other.node.name
    leading = await elected(postgres_scene)

    assert not await prolong(other, replace(leading, node_id=other.node.id))
    with pytest.raises(NotLeading):
        await write(other, replace(leading, node_id=other.node.id))


async def test_a_leader_that_asks_again_leads_under_another_epoch(scene: Scene) -> None:
    """It asks where it never learned that it was elected."""
    first, second = await elected(scene), await elected(scene)

    assert second.epoch == first.epoch + 1
    assert not await prolong(scene, first)
    assert await prolong(scene, second)


async def test_who_owns_the_file_leads_whoever_led_before(scene: Scene) -> None:
    if not scene.is_sqlite:
        pytest.skip("on PostgreSQL there are others")
    before = await elected(scene)
    after = await elected(scene, node("next"))

    assert after.epoch == before.epoch + 1
    assert not await prolong(scene, before)


async def test_a_lease_is_renewed_until_it_is_over(scene: Scene) -> None:
    leading = await elected(scene)
    assert await prolong(scene, leading)
    await expire(scene)

    assert not await prolong(scene, leading)
    assert await who_leads(scene.database) is None


async def test_an_old_epoch_is_not_renewed(scene: Scene) -> None:
    old = await elected(scene)
    await expire(scene)
    await elected(scene)

    assert not await prolong(scene, old)


async def test_after_a_resignation_the_next_leads_at_once(scene: Scene) -> None:
    leading = await elected(scene)
    await scene.database.commit(resign, leading)
    assert await who_leads(scene.database) is None

    assert (await elected(scene, node("next"))).epoch == leading.epoch + 1


async def test_a_resignation_that_comes_late_ends_nobody_elses_leadership(scene: Scene) -> None:
    old = await elected(scene)
    await expire(scene)
    now = await elected(scene, node("next"))
    await scene.database.commit(resign, old)

    assert await prolong(scene, now)


async def test_a_resignation_is_announced(postgres_scene: Scene, other: Scene) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    listening = asyncio.create_task(other.database.listen(heard.put_nowait))
    assert await heard.get() == ""
    await postgres_scene.database.commit(resign, await elected(postgres_scene))

    assert await asyncio.wait_for(heard.get(), 5) == '{"leader":null}'
    listening.cancel()


async def refuses_former_leaders(scene: Scene, check: Check) -> None:
    """One was stopped, led by itself or another meanwhile, and goes on as if nothing had happened."""
    leading = await elected(scene)
    await write(scene, leading, check)
    await expire(scene)
    with pytest.raises(NotLeading):
        await write(scene, leading, check)
    await elected(scene)
    with pytest.raises(NotLeading):
        await write(scene, leading, check)


async def test_l02_what_a_former_leader_writes_is_refused(scene: Scene) -> None:
    await refuses_former_leaders(scene, check_leading)


async def test_c08_a_missing_epoch_comes_to_light(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = module_with("leads-without-epoch")
    monkeypatch.setattr(wrong, "NotLeading", NotLeading)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        await refuses_former_leaders(scene, wrong.check_leading)


async def test_nobody_takes_over_in_the_middle_of_what_the_leader_writes(postgres_scene: Scene, other: Scene) -> None:
    """Not even when its lease ends before its transaction does."""
    scene = postgres_scene
    leading = await elected(scene, lease=timedelta(milliseconds=100))
    async with scene.aside() as connection:
        await connection.run_sync(lambda plain: check_leading(Work(plain, scene.now), leading))
        await asyncio.sleep(0.12)
        assert await who_leads(other.database) is None
        taking_over = asyncio.create_task(elected(other))
        await asyncio.sleep(0.1)
        assert not taking_over.done()
        await connection.commit()

    assert (await taking_over).epoch == leading.epoch + 1


async def test_a_leader_writes_and_renews_side_by_side_while_others_look(postgres_scene: Scene, other: Scene) -> None:
    leading = await elected(postgres_scene)
    results = await all_of(
        *[write(postgres_scene, leading) for _ in range(20)],
        *[prolong(postgres_scene, leading) for _ in range(20)],
        *[elect(other) for _ in range(20)],
    )

    assert results == [None] * 20 + [True] * 20 + [None] * 20
