"""The janitor on a real database: what it does about runs that a dead node has left behind."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.core.ids import new_id
from gateway.core.plan import Plan
from gateway.core.request import Request
from gateway.runtime.dispatcher import Dispatcher
from gateway.runtime.janitor import Janitor
from gateway.runtime.lease import Lease
from gateway.runtime.pausing import Pausing
from gateway.runtime.snapshot import Current, Snapshot
from gateway.store.accept import Acceptance, accept
from gateway.store.claim import Claim, claim
from gateway.store.control import Cancellation, cancel_runs
from gateway.store.database import Database, open_database
from gateway.store.history import find_run
from gateway.store.migrate import migrate
from gateway.store.settings import DatabaseSettings
from gateway.targets.base import Settings
from tests.runtime.test_dispatcher import Calls, Recorded
from tests.store.scene import event
from tests.waiting import until


async def leave_a_run_behind(folder: Path) -> str:
    """A run that was claimed by a node which then was no more."""
    async with open_database(settings(folder)) as database:
        await migrate(database)
        lease = Lease(database, snapshot({"sync": Settings(kind="stub")}), timedelta(seconds=15))
        await lease.acquire()
        request = Request(target="sync", payload=b"{}")
        await database.commit(accept, (Acceptance(event(id=new_id()), Plan((request,))),))
        await database.commit(claim, Claim(node_id=lease.node.id, target="sync", limit=1, slots=1))
        return request.run_id


def janitor(database: Database, current: Current, lease: Lease) -> Janitor:
    dispatcher = Dispatcher(database, current, lease)
    return Janitor(database, current, dispatcher, Pausing(database, current, dispatcher.wake))


async def state_after_a_start(folder: Path, targets: Mapping[str, Settings], run_id: str) -> str:
    """What becomes of it where a node starts that knows these targets."""
    async with open_database(settings(folder)) as database:
        current = Current(snapshot(targets))
        lease = Lease(database, current.snapshot, timedelta(seconds=15))
        await lease.acquire()
        await janitor(database, current, lease).recover()
        run = await find_run(database, run_id)
        assert run
        return str(run["state"])


@pytest.mark.parametrize(("on_lost", "expected"), [("repeat", "retrying"), ("fail", "failed")])
async def test_a_lost_run_is_recovered_as_its_target_says(tmp_path: Path, on_lost: str, expected: str) -> None:
    run_id = await leave_a_run_behind(tmp_path)
    known = Settings.model_validate({"kind": "stub", "on_lost": on_lost})

    assert await state_after_a_start(tmp_path, {"sync": known}, run_id) == expected


async def test_a_node_that_does_not_know_the_target_leaves_its_runs_to_those_that_do(tmp_path: Path) -> None:
    run_id = await leave_a_run_behind(tmp_path)

    assert await state_after_a_start(tmp_path, {}, run_id) == "running"


async def test_a_lost_run_that_was_cancelled_ends_though_no_node_knows_its_target(tmp_path: Path) -> None:
    run_id = await leave_a_run_behind(tmp_path)
    async with open_database(settings(tmp_path)) as database:
        await database.commit(cancel_runs, Cancellation(run_id=run_id, reason="by hand"))

    assert await state_after_a_start(tmp_path, {}, run_id) == "cancelled"


async def test_p9_a_run_that_cannot_be_recovered_keeps_no_other_from_expiring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("nobody can settle this")

    await leave_a_run_behind(tmp_path)
    monkeypatch.setattr("gateway.runtime.janitor.settle_attempts", refuse)
    async with open_database(settings(tmp_path)) as database:
        current = Current(snapshot({"sync": Settings(kind="stub")}))
        lease = Lease(database, current.snapshot, timedelta(seconds=15))
        await lease.acquire()
        late = Request(target="sync", payload=b"{}", expires_at=database.now())
        await database.commit(accept, (Acceptance(event(id=new_id()), Plan((late,))),))
        working = asyncio.create_task(janitor(database, current, lease).run())

        async def state() -> str:
            run = await find_run(database, late.run_id)
            return str(run and run["state"])

        await until(state, "cancelled", "what is too late is cancelled")
        working.cancel()


def settings(folder: Path) -> DatabaseSettings:
    return DatabaseSettings.model_validate({"url": f"sqlite:///{folder}/gateway.db"})


def snapshot(targets: Mapping[str, Settings]) -> Snapshot:
    recorded = {name: Recorded(name, section, Calls()) for name, section in targets.items()}
    return Snapshot(hash="", sources={}, triggers={}, targets=recorded, windows={})
