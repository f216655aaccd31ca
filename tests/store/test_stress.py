"""Everything at once, from several nodes; afterwards the promises still hold."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from gateway.core.errors import Conflict
from gateway.core.once import Until
from gateway.core.request import Request
from gateway.core.retry import Retry
from gateway.core.run import FINAL
from gateway.store.claim import ClaimedRun
from gateway.store.lanes import LaneLimit
from gateway.store.schema import events, runs
from tests.store.invariants import check
from tests.store.scene import HOUR, SECOND, TARGET, Scene, opened, request

OPERATIONS = 25
KEYS = {"a": None, "b": None, "c": None, "d": None, "e": "l", "f": "m"}
LIMIT = 4
AT_ONCE = Retry(attempts=3, delays=(SECOND * 0,))


class Nemesis:
    """Does things at random on one node, as senders, targets and people would."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self.scene = scene
        self.accepted: list[str] = []
        self._random = random.Random(seed)
        scene.limits[TARGET] = LaneLimit(1, ordered=False)

    async def rage(self) -> None:
        acts = (self._accept, self._accept, self._work, self._work, self._cancel, self._repeat)
        for _ in range(OPERATIONS):
            await asyncio.gather(*(act() for act in self._random.sample(acts, 2)))

    async def work(self) -> bool:
        """Carries out what is due; whether there was anything."""
        claimed = await self.scene.claim(limit=LIMIT, slots=self._random.randint(1, LIMIT))
        await asyncio.gather(*(self._carry_out(run) for run in claimed))
        return bool(claimed)

    async def _accept(self) -> None:
        accepted = await asyncio.gather(*(self.scene.accept(*self._requests()) for _ in range(4)))
        self.accepted += [one.event_id for one in accepted]

    def _requests(self) -> list[Request]:
        return [self._request() for _ in range(self._random.randint(1, 3))]

    def _request(self) -> Request:
        """Runs of some keys have a lane, which only the row of the target guards."""
        key = self._random.choice((None, *KEYS))
        until = self._random.choice((*Until, HOUR)) if key else None
        return request(key, until, lane=self._random.choice((None, "l")) if key is None else KEYS[key])

    async def _work(self) -> None:
        await self.work()

    async def _carry_out(self, run: ClaimedRun) -> None:
        await asyncio.sleep(self._random.random() * 0.005)
        end = self._random.choice((self.scene.succeed, self.scene.succeed, self.scene.fail, self.scene.give_up))
        await end(run, retry=AT_ONCE)

    async def _cancel(self) -> None:
        await self._to_some(self.scene.cancel)

    async def _repeat(self) -> None:
        await self._to_some(self.scene.repeat)

    async def _to_some(self, act: Callable[[str], Awaitable[Any]]) -> None:
        rows = await self.scene.rows(runs)
        chosen = self._random.sample(rows, min(3, len(rows)))
        results = await asyncio.gather(*(act(row.id) for row in chosen), return_exceptions=True)
        assert [one for one in results if isinstance(one, Exception) and not isinstance(one, Conflict)] == []


async def settle_everything(nemeses: list[Nemesis]) -> None:
    while any(await asyncio.gather(*(nemesis.work() for nemesis in nemeses))):
        pass


async def rage(nemeses: list[Nemesis]) -> None:
    await asyncio.gather(*(nemesis.rage() for nemesis in nemeses))
    await check(nemeses[0].scene, LIMIT)
    await settle_everything(nemeses)
    await check(nemeses[0].scene, LIMIT)

    scene = nemeses[0].scene
    assert all(row.state in FINAL for row in await scene.rows(runs))
    stored = {row.id for row in await scene.rows(events)}
    assert stored == {event_id for nemesis in nemeses for event_id in nemesis.accepted}


async def test_one_node(scene: Scene) -> None:
    await rage([Nemesis(scene, seed) for seed in range(3)])


async def test_d07_several_nodes(postgres_scene: Scene, kept_postgres_url: str) -> None:
    """Whatever they wait for of each other, no deadlock is left to the time-out, and no request fails of it."""
    async with AsyncExitStack() as stack:
        others = [await stack.enter_async_context(opened(kept_postgres_url)) for _ in range(2)]
        await rage([Nemesis(scene, seed) for seed, scene in enumerate([postgres_scene, *others])])
