"""Forcing a schedule asks for what a tick of it would; the rest of this door is tried through the API."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.core.errors import Unmappable
from gateway.core.schedule import Schedule
from gateway.core.trigger import Trigger
from gateway.runtime.intake import Intake
from gateway.runtime.scheduling import Scheduling
from gateway.runtime.snapshot import Current, Snapshot
from gateway.store.database import Database, open_database
from gateway.store.history import find_event, find_run
from gateway.store.migrate import migrate
from gateway.store.schedules import Origin, StoredSchedule
from gateway.store.settings import DatabaseSettings
from gateway.targets.base import Settings
from tests.runtime.test_dispatcher import Calls, Recorded
from tests.runtime.test_upcoming import stored

PER_SITE = {"kind": "stub", "per_key": {"key": "{{ payload.site }}"}}


@dataclass(slots=True)
class Door:
    """A schedule `s` of the file, and what was woken."""

    database: Database
    scheduling: Scheduling
    schedule: StoredSchedule
    woken: list[str] = field(default_factory=list)

    async def force(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The run and its event, as the API has them."""
        decision = await self.scheduling.run(self.schedule, by="me")
        run = await find_run(self.database, decision.run_id or "")
        assert run is not None
        event = await find_event(self.database, run["event_ids"][0])
        return orjson.loads(orjson.dumps(run)), orjson.loads(orjson.dumps(event))


@asynccontextmanager
async def door(folder: Path, fields: dict[str, Any], triggers: dict[str, dict[str, Any]]) -> AsyncIterator[Door]:
    settings = DatabaseSettings.model_validate({"url": f"sqlite:///{folder}/gateway.db"})
    schedule = Schedule.model_validate(fields)
    targets = {"sync": Recorded("sync", Settings.model_validate(PER_SITE), Calls())}
    snapshot = Snapshot(
        hash="",
        sources={},
        triggers={name: Trigger.model_validate(trigger) for name, trigger in triggers.items()},
        targets=targets,
        windows={},
        schedules={"s": schedule},
    )
    async with open_database(settings) as database:
        await migrate(database)
        woken: list[str] = []
        intake = Intake(database, Current(snapshot), woken.extend)
        scheduling = Scheduling(database, Current(snapshot), intake, lambda: None)
        yield Door(database, scheduling, replace(stored(schedule), origin=Origin.FILE), woken)


async def test_the_payload_is_rendered_as_at_a_tick(tmp_path: Path) -> None:
    payload = {"of": "{{ event.data.schedule }}", "at": "{{ event.data.scheduled_for }}", "site": "{{ event.subject }}"}
    fields = {"interval": "1h", "target": "sync", "payload": payload, "once": {"key": "k"}, "enabled": False}
    async with door(tmp_path, fields, {}) as one:
        run, event = await one.force()

        assert run["payload"] == {"of": "s", "at": event["data"]["scheduled_for"], "site": "s"}
        assert (run["schedule"], run["key"], run["requested_by"]) == ("s", None, "me")
        assert (event["source"], event["type"], event["data"]["requested_by"]) == ("api", "gateway.manual", "me")
        assert one.woken == ["sync"]


async def test_triggers_that_listen_to_what_is_done_by_hand_hear_of_it(tmp_path: Path) -> None:
    heard = {"on": "api", "target": "sync", "payload": {"site": "{{ event.subject }}"}}
    of_ticks = {"on": "s", "target": "sync"}
    fields = {"interval": "1h", "target": "sync", "payload": {"site": "a"}}
    async with door(tmp_path, fields, {"heard": heard, "of-ticks": of_ticks}) as one:
        _, event = await one.force()

        assert [made["trigger"] for made in event["decisions"]] == [None, "heard"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"interval": "1h"}, "has no target"),
        ({"interval": "1h", "target": "gone"}, "there is no target 'gone'"),
        ({"interval": "1h", "target": "sync", "payload": "{{ event.data.nothing }}"}, "payload: "),
        ({"interval": "1h", "target": "sync", "payload": {"site": ""}}, "per_key.key: is empty"),
    ],
    ids=str,
)
async def test_what_cannot_run_is_refused_and_leaves_nothing(
    tmp_path: Path, fields: dict[str, Any], reason: str
) -> None:
    async with door(tmp_path, fields, {}) as one:
        with pytest.raises(Unmappable, match=reason):
            await one.force()

        assert one.woken == []


async def test_a_schedule_of_the_file_that_this_node_does_not_have_is_not_for_it_to_force(tmp_path: Path) -> None:
    async with door(tmp_path, {"interval": "1h", "target": "sync"}, {}) as one:
        one.schedule = replace(one.schedule, name="of-another-node")

        with pytest.raises(Unmappable, match="does not have it"):
            await one.force()
