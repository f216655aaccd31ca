"""A scene with alerts: short ways to have runs fail, and to see what was told."""

from dataclasses import replace
from typing import Any

import orjson

from gateway.core.alert import Alert
from gateway.core.outcome import RetryableFailure, Succeeded
from gateway.core.retry import Retry
from gateway.runtime.chain import announcement
from gateway.runtime.snapshot import Snapshot
from gateway.store.claim import ClaimedRun
from gateway.store.schema import runs
from tests.store.clockwork import EMPTY
from tests.store.scene import SECOND, TARGET, Scene

CHAT = "chat"
ONCE = Retry(attempts=1)


def alerted(**alerts: dict[str, Any]) -> Snapshot:
    """A configuration with these alerts, or with one that tells everything."""
    named = alerts or {"ops": {}}
    return replace(EMPTY, alerts={name: Alert.model_validate({"target": CHAT} | one) for name, one in named.items()})


class Watched:
    """A scene with alerts, and what they have told."""

    def __init__(self, scene: Scene, snapshot: Snapshot) -> None:
        self.scene = scene
        self.changes = {"announcer": announcement(snapshot), "retry": ONCE}

    async def fails(self, key: str | None = None, **about: Any) -> None:
        """For good, in a way that says nothing about the target."""
        await self.ends(await self.run(key, **about), RetryableFailure(reason="boom"))

    async def succeeds(self, key: str | None = None, **about: Any) -> None:
        await self.ends(await self.run(key, **about), Succeeded())

    async def run(self, key: str | None = None, **about: Any) -> ClaimedRun:
        await self.scene.ask(key, **about)
        return await self.scene.claim_one(about.get("target", TARGET))

    async def ends(self, run: ClaimedRun, outcome: Any, **changes: Any) -> None:
        await self.scene.end(run, outcome, **self.changes | changes)
        self.scene.wait(SECOND)

    async def told(self) -> list[dict[str, Any]]:
        rows = await self.scene.rows(runs, runs.c.target == CHAT)
        return [orjson.loads(row.payload) for row in sorted(rows, key=lambda row: row.id)]

    async def what(self) -> list[tuple[str, str, str | None]]:
        return [(one["what"], one["name"], one["key"]) for one in await self.told()]
