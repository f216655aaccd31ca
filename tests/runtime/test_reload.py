"""Swapping configurations under a dispatcher that is at work, on a real database."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import Unavailable
from gateway.runtime.dispatcher import Dispatcher
from gateway.runtime.lease import Lease
from gateway.runtime.reload import Candidate, Reload, Unusable
from gateway.runtime.snapshot import Current, Snapshot
from gateway.store.claim import claim
from gateway.store.database import open_database
from gateway.store.leases import list_nodes
from gateway.store.migrate import migrate
from gateway.store.settings import DatabaseSettings
from gateway.targets.base import Settings
from tests.runtime.test_dispatcher import Calls, Node, Recorded, dispatching, hold_back, number_of_calls
from tests.waiting import until


@dataclass(slots=True)
class Reloading:
    """A node whose next configurations are those in `coming`, or what goes wrong with them."""

    node: Node
    current: Current
    reload: Reload
    coming: list[Snapshot | Exception]
    closed: list[str] = field(default_factory=list)

    def configuration(self, name: str, targets: Mapping[str, Calls]) -> Snapshot:
        """Its hash is its name."""
        recorded = {target: Recorded(target, Settings(kind="stub"), calls) for target, calls in targets.items()}
        opened = AsyncExitStack()
        opened.callback(self.closed.append, name)
        return Snapshot(hash=name, sources={}, triggers={}, targets=recorded, windows={}, opened=opened)


@asynccontextmanager
async def node(folder: Path) -> AsyncIterator[Reloading]:
    """With one target `a`, whose calls it remembers."""
    settings = DatabaseSettings.model_validate({"url": f"sqlite:///{folder}/gateway.db"})
    coming: list[Snapshot | Exception] = []

    async def reread(_: Snapshot) -> Candidate:
        next_one = coming.pop(0)
        if isinstance(next_one, Exception):
            raise next_one
        return Candidate(snapshot=next_one)

    async with open_database(settings) as database:
        await migrate(database)
        nothing = Snapshot(hash="", sources={}, triggers={}, targets={}, windows={})
        current, lease = Current(nothing), Lease(database, nothing, timedelta(seconds=15))
        dispatcher = Dispatcher(database, current, lease)
        reload, calls = Reload(current, lease, dispatcher, reread), Calls()
        one = Reloading(Node(database, current, lease, dispatcher, calls), current, reload, coming)
        current.snapshot = one.configuration("first", {"a": calls})
        await lease.acquire()
        await lease.tell(current.snapshot)
        yield one
        await reload.aclose()


async def test_what_is_called_stays_open_until_the_call_has_ended(tmp_path: Path) -> None:
    async with node(tmp_path) as one, dispatching(one.node):
        later = Calls()
        one.coming.append(one.configuration("second", {"a": later}))
        await one.node.request("a")
        await until(lambda: number_of_calls(one.node), 1, "calls")

        reloaded = await one.reload.now()
        await asyncio.sleep(0.05)

        assert (reloaded.config_hash, reloaded.changed) == ("second", True)
        assert one.closed == []
        one.node.calls.lasting.set()
        await until(lambda: _so_far(one.closed), ["first"], "closed configurations")
        later.lasting.set()
        await one.node.request("a")
        one.node.dispatcher.wake("a")
        await until(lambda: _so_far([call[0] for call in later.begun]), ["a"], "calls of the new target")
        assert await number_of_calls(one.node) == 1


async def test_a_run_whose_target_is_removed_meanwhile_ends_as_it_began(tmp_path: Path) -> None:
    async with node(tmp_path) as one, dispatching(one.node):
        one.coming.append(one.configuration("second", {}))
        [begun, waiting] = await one.node.request("a", 2)
        await until(lambda: number_of_calls(one.node), 1, "calls")

        await one.reload.now()
        one.node.calls.lasting.set()

        await until(lambda: one.node.state(begun), "succeeded", "state")
        assert await one.node.state(waiting) == "queued"


async def test_a_claim_that_comes_too_late_for_its_target_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node(tmp_path) as one:
        one.coming += [one.configuration("second", {}), one.configuration("third", {"a": one.node.calls})]
        one.node.calls.lasting.set()
        [run_id] = await one.node.request("a")
        claimed = hold_back(one.node, monkeypatch, claim)
        async with dispatching(one.node):
            await until(lambda: one.node.state(run_id), "running", "state")

            await one.reload.now()
            claimed.set()

            await until(lambda: one.node.state(run_id), "retrying", "state")
            assert await number_of_calls(one.node) == 0
            await one.reload.now()
            await until(lambda: one.node.state(run_id), "succeeded", "state")


async def test_all_learn_what_a_node_is_now(tmp_path: Path) -> None:
    async with node(tmp_path) as one:
        one.coming.append(one.configuration("second", {"b": Calls()}))
        await one.reload.now()

        [listed] = await list_nodes(one.node.database)
        assert (listed["config_hash"], listed["targets"]) == ("second", ["b"])


@pytest.mark.parametrize("wrong", [Unusable([("targets", "config.yaml:1: broken")]), RuntimeError("a defect")])
async def test_what_cannot_be_loaded_changes_nothing_and_the_next_one_can(tmp_path: Path, wrong: Exception) -> None:
    async with node(tmp_path) as one:
        one.coming += [wrong, one.configuration("second", {})]
        running = asyncio.create_task(one.reload.run())
        one.reload.ask()
        await until(lambda: _so_far(len(one.coming)), 1, "configurations to come")
        assert one.current.snapshot.hash == "first"

        one.reload.ask()
        await until(lambda: _so_far(one.current.snapshot.hash), "second", "configuration")
        running.cancel()


async def test_a_database_that_is_away_leaves_the_old_one_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node(tmp_path) as one:

        async def away(*_: Any) -> None:
            raise Unavailable("away")

        one.coming.append(one.configuration("second", {}))
        monkeypatch.setattr(one.node.database, "commit", away)
        with pytest.raises(Unavailable):
            await one.reload.now()

        assert one.current.snapshot.hash == "first"
        assert one.closed == ["second"]


async def test_reloads_at_once_come_one_after_the_other_and_leave_nothing_open(tmp_path: Path) -> None:
    names = [f"number {number}" for number in range(5)]
    async with node(tmp_path) as one:
        one.coming += [one.configuration(name, {"a": one.node.calls}) for name in names]
        reloaded = await asyncio.gather(*(one.reload.now() for _ in names))

        assert [each.config_hash for each in reloaded] == names
        assert one.current.snapshot.hash == names[-1]
    assert sorted(one.closed) == ["first", *names]


async def _so_far(seen: Any) -> Any:
    return seen
