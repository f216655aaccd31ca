"""Schedules on a scene: short ways to define them, to let a leader look at them, and to see what came of it.

What is due is worked out by the code that does so in a gateway; only the clock is the scene's.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from gateway.core.outcome import Outcome
from gateway.core.request import Decision, Verb
from gateway.core.schedule import Schedule, literal
from gateway.core.trigger import Trigger
from gateway.core.window import Window
from gateway.runtime.snapshot import Snapshot
from gateway.runtime.ticks import define, following, look
from gateway.store.claim import ClaimedRun
from gateway.store.deliveries import stored_decisions
from gateway.store.leadership import Candidacy, Leading, seek
from gateway.store.pause import Kind, Pausable, Pause
from gateway.store.schedules import StoredSchedule, due_schedules, file_schedules, find_schedule
from gateway.store.scheduling import (
    FileChange,
    LookAgain,
    Writing,
    follow_file,
    look_again,
    pause_schedules,
    remove_schedules,
    resume_schedules,
    write_schedules,
)
from gateway.store.schema import events, runs, skips
from gateway.store.settle import Ended
from gateway.store.skips import list_skips
from gateway.store.tick import Ticked, Ticking, tick
from tests.store.scene import HOUR, TARGET, Scene

NIGHTLY = "nightly"
EMPTY = Snapshot(hash="", sources={}, triggers={}, targets={}, windows={})


def schedule(**fields: Any) -> Schedule:
    """Every minute, unless it says otherwise."""
    kinds = {*Schedule.KINDS} & fields.keys()
    timing = {} if kinds else {"cron": "* * * * *"}
    return Schedule.model_validate({"target": TARGET} | timing | literal(fields))


def configured(
    *, schedules: dict[str, dict[str, Any]] | None = None, triggers: dict[str, Any] | None = None, **windows: Any
) -> Snapshot:
    """What a file says."""
    return replace(
        EMPTY,
        schedules={name: schedule(**fields) for name, fields in (schedules or {}).items()},
        triggers={name: Trigger.model_validate(fields) for name, fields in (triggers or {}).items()},
        windows={name: Window.model_validate(fields) for name, fields in windows.items()},
    )


@dataclass(slots=True)
class Clockwork:
    """The node of a scene leads the clock."""

    scene: Scene
    leading: Leading
    snapshot: Snapshot = EMPTY

    async def lead(self) -> Leading:
        """Is elected, once more."""
        candidacy = Candidacy(node=self.scene.node, lease=HOUR)
        leading = await self.scene.database.commit(seek, candidacy)
        assert leading is not None
        self.leading = leading
        return leading

    async def create(self, name: str = NIGHTLY, *, is_new: bool = True, **fields: Any) -> None:
        """By the API."""
        definition = define(name, schedule(**fields))
        await self.scene.database.commit(write_schedules, Writing(definition=definition, by="me", is_new=is_new))

    async def replace(self, name: str = NIGHTLY, **fields: Any) -> None:
        await self.create(name, is_new=False, **fields)

    async def remove(self, name: str = NIGHTLY) -> None:
        await self.scene.database.commit(remove_schedules, name)

    async def pause(self, name: str = NIGHTLY, lasting: timedelta | None = None, **about: Any) -> None:
        pause = Pause(what=Pausable(Kind.SCHEDULE, name), by="me", lasting=lasting, **about)
        await self.scene.database.commit(pause_schedules, pause)

    async def resume(self, name: str = NIGHTLY) -> None:
        await self.scene.database.commit(resume_schedules, name)

    async def follow(self, snapshot: Snapshot) -> None:
        """Makes a file the one of this node."""
        self.snapshot = snapshot
        for name in {*await file_schedules(self.scene.database), *snapshot.schedules}:
            known = snapshot.schedules.get(name)
            definition = None if known is None else define(name, known)
            change = FileChange(leading=self.leading, name=name, definition=definition)
            await self.scene.database.commit(follow_file, change)

    async def stored(self, name: str = NIGHTLY) -> StoredSchedule:
        found = await find_schedule(self.scene.database, name)
        assert found is not None
        return found

    async def look(self, name: str = NIGHTLY, **changes: Any) -> Ticking:
        """What a look at a schedule comes to at this moment."""
        ticking = look(self.leading, await self.stored(name), self.snapshot, self.scene.now)
        assert ticking is not None
        return replace(ticking, **changes)

    async def commit(self, ticking: Ticking) -> Ticked | None:
        return await self.scene.database.commit(tick, ticking)

    async def tick(self, name: str = NIGHTLY) -> Ticked | None:
        """Makes what is due of a schedule, whether or not it is time to look."""
        return await self.commit(await self.look(name))

    async def look_again(self, name: str = NIGHTLY) -> None:
        """Has it looked at at the next turn."""
        await self.scene.database.commit(look_again, LookAgain(leading=self.leading, name=name))

    async def turn(self, span: timedelta = timedelta(0)) -> None:
        """Lets time pass, and whatever is to be looked at by then be looked at."""
        self.scene.wait(span)
        for one in await due_schedules(self.scene.database, self.scene.now, 1000):
            await self.tick(one.name)

    async def settle(self, run: ClaimedRun, outcome: Outcome, **changes: Any) -> Ended | None:
        """Ends an attempt on a node that knows the schedules."""
        return await self.scene.settle(run, outcome, follow=following(self.snapshot, self.scene.now), **changes)

    async def skips(self, name: str = NIGHTLY) -> list[tuple[datetime, datetime, int, str]]:
        """The records, the oldest first."""
        found = await list_skips(self.scene.database, name, 100)
        return [(one["from"], one["to"], one["count"], one["reason"]) for one in reversed(found)]

    async def ticks(self, name: str = NIGHTLY) -> list[datetime]:
        """The instants of the events that were made, in order."""
        return sorted(row.time for row in await self.scene.rows(events, events.c.source == name))

    async def decisions(self, name: str = NIGHTLY) -> list[tuple[Decision, ...]]:
        """Those about each tick, in order."""
        rows = await self.scene.rows(events, events.c.source == name)
        return [stored_decisions(row.decisions) for row in sorted(rows, key=lambda row: (row.time, row.id))]

    async def verbs(self, name: str = NIGHTLY) -> list[list[Verb]]:
        return [[decision.decision for decision in decisions] for decisions in await self.decisions(name)]

    async def runs(self, name: str = NIGHTLY) -> list[Any]:
        """The schedule's runs, the oldest first."""
        return sorted(await self.scene.rows(runs, runs.c.schedule == name), key=lambda row: row.id)

    async def everything(self) -> list[Any]:
        """All that ticks write, to see whether something was written."""
        tables = (events, runs, skips)
        return [await self.stored(), *[await self.scene.rows(table) for table in tables]]


async def wind_up(scene: Scene) -> Clockwork:
    clockwork = Clockwork(scene, Leading(node_id="", epoch=0))
    await clockwork.lead()
    return clockwork


def payload(run: Any) -> Any:
    return orjson.loads(run.payload)
