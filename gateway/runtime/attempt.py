"""One attempt: the call of a target for a run, from its context to its outcome."""

import asyncio
import secrets
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
import structlog

from gateway.core.duration import format_duration
from gateway.core.errors import TemplateError, Unavailable
from gateway.core.outcome import BrokenOff, Outcome, PermanentFailure, RetryableFailure
from gateway.core.template import clock
from gateway.runtime.snapshot import Snapshot
from gateway.store.claim import ClaimedRun
from gateway.store.database import Database
from gateway.store.history import events_of

log = structlog.get_logger(__name__)

MAX_LOG_LINES = 1000
MAX_LOG_CHARACTERS = 256 * 1024


class Attempt:
    """A call in progress, under the configuration that was in force at its start.

    `stop` ends it from outside, with the outcome this shall have.
    """

    def __init__(self, run: ClaimedRun, snapshot: Snapshot) -> None:
        self.run = run
        self.run_id = run.id
        self.number = run.attempt
        self.payload_bytes = run.payload
        self.traceparent = f"00-{run.id.replace('-', '')}-{secrets.token_hex(8)}-01"
        self.context: Mapping[str, Any] = {}
        self.at_once = False
        self.snapshot = snapshot
        self._target = snapshot.targets[run.target]
        self.settings = self._target.settings
        self._lines: deque[str] = deque(maxlen=MAX_LOG_LINES)
        self._call: asyncio.Task[Outcome] | None = None
        self._stopped: Outcome | None = None

    def log(self, text: str) -> None:
        """Adds to the log of the attempt, of which the last thousand lines are kept."""
        self._lines.extend(text.splitlines())

    @property
    def log_tail(self) -> str:
        return "\n".join(self._lines)[-MAX_LOG_CHARACTERS:]

    def stop(self, outcome: Outcome, *, at_once: bool = False) -> None:
        """Ends the call; what it would have answered is not waited for.

        It may take its time to end well, unless it must end at once or is stopped again.
        """
        self.at_once |= at_once
        self._stopped = self._stopped or outcome
        if self._call is not None:
            self._call.cancel()

    async def perform(self, database: Database) -> Outcome:
        """Calls the target and returns what became of it; raises nothing of the target's making."""
        self._call = asyncio.create_task(self._perform(database), name=f"attempt {self.run_id}")
        if self._stopped:
            self._call.cancel()
        try:
            return await self._call
        except asyncio.CancelledError:
            if self._stopped is None:
                raise
            return self._stopped
        except Unavailable:
            return BrokenOff(reason="the database could not be asked for its events")
        except Exception:
            log.exception("attempt.crashed", run_id=self.run_id, target=self.run.target)
            return RetryableFailure(reason="an error in the gateway itself; its log has the details")

    async def _perform(self, database: Database) -> Outcome:
        timeout = self.settings.timeout
        self.context = await self._context(database)
        try:
            call = self._target.render(self.context)
        except TemplateError as error:
            return PermanentFailure(reason=f"template: {error}")
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                return await self._target.perform(call, self)
        except TimeoutError:
            return RetryableFailure(
                reason=f"timed out after {format_duration(timeout)}", reached=not self.settings.LATE_IS_UNREACHED
            )

    async def _context(self, database: Database) -> dict[str, Any]:
        """What templates see; the events are loaded only where a template looks at them."""
        names = self._target.names
        events = []
        if names & {"event", "events"}:
            events = await events_of(database, self.run_id, latest_only="events" not in names)
        return {
            "event": events[-1] if events else None,
            "events": events,
            "payload": orjson.loads(self.run.payload) if "payload" in names else None,
            "run": _shown(self.run),
            "now": clock(database.now()),
        }


def _shown(run: ClaimedRun) -> dict[str, str | int | datetime | None]:
    names = ("id", "target", "trigger", "schedule", "key", "attempt", "created_at", "due_at", "started_at", "events")
    return {name: getattr(run, name) for name in names}
