"""What has changed, in an order in which nothing turns up late."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from gateway.store.changes import Changes, Place, changes_after, latest_place
from gateway.store.schema import runs
from tests.store.scene import Scene, delivery, opened, request


async def after(scene: Scene, place: Place, limit: int = 100) -> Changes:
    return await changes_after(scene.database, place, limit)


def told(changes: Changes) -> list[tuple[str, str]]:
    return [(change.kind, change.shown.get("state", "")) for change in changes.items]


async def test_each_step_of_a_run_is_a_change(scene: Scene) -> None:
    place = await latest_place(scene.database)
    await scene.ask()
    asked = await after(scene, place)
    run = await scene.claim_one()
    claimed = await after(scene, asked.until)
    await scene.succeed(run)
    ended = await after(scene, claimed.until)

    assert sorted(told(asked)) == [("event", ""), ("run", "queued")]
    assert told(claimed) == [("run", "running")]
    assert told(ended) == [("run", "succeeded")]
    assert told(await after(scene, ended.until)) == []


async def test_what_merges_supersedes_or_cancels_changes_runs(scene: Scene) -> None:
    first = (await scene.ask()).run_id
    place = await latest_place(scene.database)
    await scene.ask()
    merged = await after(scene, place)
    await scene.fail(await scene.claim_one())
    place = await latest_place(scene.database)
    await scene.ask()
    superseded = await after(scene, place)
    await scene.cancel(next(row.id for row in await scene.rows(runs) if row.id != first))
    cancelled = await after(scene, superseded.until)

    assert sorted(told(merged)) == [("event", ""), ("run", "queued")]
    assert sorted(told(superseded)) == [("event", ""), ("run", "queued"), ("run", "superseded")]
    assert told(cancelled) == [("run", "cancelled")]


async def test_a_redelivery_is_a_change(scene: Scene) -> None:
    await scene.accept(delivery=delivery("a"))
    place = await latest_place(scene.database)
    await scene.accept(delivery=delivery("a"))

    [change] = (await after(scene, place)).items
    assert change.shown["deliveries"] == 2


async def test_page_by_page_nothing_is_lost_and_nothing_is_doubled(scene: Scene) -> None:
    place = await latest_place(scene.database)
    for _ in range(3):
        scene.later(request(None), request(None))
    await scene.accept_later()
    await scene.accept(request(None))
    seen, are_all = [], False
    while not are_all:
        page = await after(scene, place, 2)
        seen += [change.shown["id"] for change in page.items]
        place, are_all = page.until, page.are_all

    assert len(seen) == len(set(seen)) == 4 + 7


async def test_numbers_grow_though_the_clock_was_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"
    async with opened(url, empty=True) as scene:
        await scene.ask(None)
        place = await latest_place(scene.database)
    monkeypatch.setattr("gateway.store.database.time.time_ns", lambda: 0)
    async with opened(url) as scene:
        await scene.ask(None)

        assert len((await after(scene, place)).items) == 2


async def test_numbers_grow_where_everything_has_been_pruned(scene: Scene) -> None:
    if not scene.is_sqlite:
        pytest.skip("PostgreSQL numbers its transactions itself")
    await scene.ask(None)
    place = await latest_place(scene.database)
    await scene.database.transact(lambda connection: connection.exec_driver_sql("DELETE FROM runs"))
    await scene.database.transact(lambda connection: connection.exec_driver_sql("DELETE FROM events"))
    assert told(await after(scene, place)) == []
    await scene.ask(None)

    assert len((await after(scene, place)).items) == 2


async def test_on_postgresql_nothing_is_told_before_what_began_earlier_has_ended(postgres_url: str) -> None:
    """A transaction with a smaller number that commits later would be missed by whoever has gone on."""
    async with opened(postgres_url) as scene, scene.aside() as other:
        old = (await scene.ask(None)).run_id
        place = await latest_place(scene.database)
        await other.execute(select(func.txid_current()))
        await scene.ask("later")
        meanwhile = await after(scene, place)
        await other.execute(runs.update().where(runs.c.id == old).values(reason="changed", payload=b"{}"))
        await other.commit()
        since = await after(scene, meanwhile.until)

    assert meanwhile.items == ()
    assert len(since.items) == 3
    assert since.items[0].shown["reason"] == "changed"
