"""D08: somebody's open transaction keeps PostgreSQL from cleaning up after runs that are over."""

import time
from statistics import median

from sqlalchemy import Connection, text

from tests.store.scene import SECOND, Scene, request

LEFT_BEHIND = 10_000
SLOWER = 5  # times; they are all in the index of what may be claimed still, and passed over once for each claim


async def accepted(scene: Scene, count: int) -> None:
    for _ in range(count):
        scene.later(request(None))
    await scene.accept_later()
    scene.wait(SECOND)


async def seconds_to_claim(scene: Scene) -> float:
    """Of five claims the median; what is claimed is ended."""
    taken = []
    for _ in range(5):
        await accepted(scene, 20)
        began = time.perf_counter()
        claimed = await scene.claim(executing=frozenset())
        taken.append(time.perf_counter() - began)
        assert len(claimed) == 20
        for run in claimed:
            await scene.succeed(run)
    return median(taken)


def end_all(connection: Connection) -> None:
    connection.execute(text("UPDATE runs SET state = 'succeeded', claimable = false"))


async def test_d08_claims_go_on_while_nothing_can_be_cleaned_up(postgres_scene: Scene) -> None:
    scene = postgres_scene
    await seconds_to_claim(scene)  # until all statements are prepared
    before = await seconds_to_claim(scene)
    async with scene.aside() as other:
        await other.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        await other.execute(text("SELECT count(*) FROM runs"))
        await accepted(scene, LEFT_BEHIND)
        await scene.database.transact(end_all)

        assert await seconds_to_claim(scene) < SLOWER * before
