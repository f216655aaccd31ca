"""Many who watch, and one look."""

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import Unavailable
from gateway.runtime.watch import Watch
from tests.runtime.test_dispatcher import node


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The runs of each look at the database."""
    looks: list[set[str]] = []

    async def look(database: Any, run_ids: Collection[str]) -> dict[str, Any]:
        looks.append(set(run_ids))
        if "away" in run_ids:
            raise Unavailable("no database")
        return {run_id: (run_id, len(looks)) for run_id in run_ids}

    monkeypatch.setattr("gateway.runtime.watch.signs_of", look)
    monkeypatch.setattr("gateway.runtime.watch.EVERY", 0.02)
    return looks


async def test_those_who_watch_share_a_look(tmp_path: Path, looks: list[set[str]]) -> None:
    async with node(tmp_path, {}) as one:
        watch = Watch(one.database)
        signs = await asyncio.gather(*(watch.look(run_id) for run_id in ["a", "b", "a"]))
        await watch.look("c")

    assert signs == [("a", 1), ("b", 1), ("a", 1)]
    assert looks == [{"a", "b"}, {"c"}]


async def test_who_goes_away_takes_nobody_along(tmp_path: Path, looks: list[set[str]]) -> None:
    async with node(tmp_path, {}) as one:
        watch = Watch(one.database)
        first, second = (asyncio.create_task(watch.look("a")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()

        assert await second == ("a", 1)


async def test_a_database_that_is_away_is_no_sign(tmp_path: Path, looks: list[set[str]]) -> None:
    async with node(tmp_path, {}) as one:
        assert await Watch(one.database).look("away") is None
