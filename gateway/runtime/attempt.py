"""One attempt: the call of a target for a run, from its context to its outcome."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
import structlog

from gateway.core import strict_json
from gateway.core.duration import format_duration
from gateway.core.errors import TemplateError, Unavailable
from gateway.core.log_tail import LogTail
from gateway.core.outcome import BrokenOff, Cancelled, Outcome, PermanentFailure, RetryableFailure
from gateway.core.progress import Progress
from gateway.core.secrecy import masked
from gateway.core.template import clock
from gateway.runtime.snapshot import Snapshot
from gateway.runtime.tracing import traceparent_of
from gateway.store.claim import ClaimedRun
from gateway.store.database import Database
from gateway.store.handles import Checkpoint, keep_handles
from gateway.store.history import events_of
from gateway.store.live import Said

log = structlog.get_logger(__name__)

STORE_AGAIN_AFTER = 1.0


class Attempt:
    """A call in progress, under the configuration that was in force at its start.

    `stop` ends it from outside, with the outcome this shall have.
    """

    def __init__(self, run: ClaimedRun, snapshot: Snapshot, database: Database) -> None:
        self._database = database
        self.run = run
        self.run_id = run.id
        self.number = run.attempt
        self.payload_bytes = run.payload
        self.traceparent = traceparent_of(run)
        self.context: Mapping[str, Any] = {}
        self.at_once = False
        self.cancelling = run.cancelling
        self.handle: Mapping[str, Any] | None = None if run.handle is None else orjson.loads(run.handle)
        self.latest_progress: Progress | None = None
        self.snapshot = snapshot
        self._target = snapshot.targets[run.target]
        self.settings = self._target.settings
        self.following = run.following and self.settings.follows
        self.tail = LogTail()
        self.is_live = False  # whether something of it is, or may be, kept already
        self._kept_lines = 0
        self._kept_progress: Progress | None = None
        self._call: asyncio.Task[Outcome] | None = None
        self._stopped: Outcome | None = None

    def log(self, text: str) -> None:
        """Adds to the log of the attempt; targets may repeat what they were sent, secrets included."""
        self.tail.add(masked(text))

    def progress(self, progress: Progress) -> None:
        """Says how far the call has come."""
        self.latest_progress = progress

    async def checkpoint(self, handle: Mapping[str, Any]) -> None:
        """Stores the handle of a job; a database that is away is waited for as long as the attempt may last.

        What has been started must be known: even a call that is cancelled meanwhile stores this first.
        """
        self.handle, self.following = handle, True
        await asyncio.shield(self._keep(handle))

    async def _keep(self, handle: Mapping[str, Any]) -> None:
        run = self.run
        checkpoint = Checkpoint(
            run_id=run.id, node_id=run.node_id, attempt=run.attempt, handle=strict_json.dump(dict(handle))
        )
        while True:
            try:
                await self._database.commit(keep_handles, checkpoint)
            except Unavailable:
                await asyncio.sleep(STORE_AGAIN_AFTER)
            else:
                return

    def news(self) -> Said | None:
        """What it has said that is not kept yet; from then on there is something of it to be looked for.

        Nothing once the call has ended: however long its outcome takes to be stored, all goes with that.
        """
        if self._call is None or self._call.done():
            return None
        progress = None if self.latest_progress == self._kept_progress else self.latest_progress
        if progress is None and self.tail.said == self._kept_lines:
            return None
        self.is_live = True
        return Said(
            run_id=self.run_id,
            node_id=self.run.node_id,
            attempt=self.number,
            since=self._kept_lines,
            until=self.tail.said,
            dropped=self.tail.dropped,
            text="\n".join(self.tail.lines(self._kept_lines)),
            progress=progress,
        )

    def keep(self, said: Said) -> None:
        """Notes that its news are stored."""
        self._kept_lines = said.until
        self._kept_progress = said.progress or self._kept_progress

    def stop(self, outcome: Outcome, *, at_once: bool = False) -> None:
        """Ends the call; what it would have answered is not waited for.

        It may take its time to end well, unless it must end at once or is stopped again.
        """
        self.at_once |= at_once
        self.cancelling |= isinstance(outcome, Cancelled)
        self._stopped = self._stopped or outcome
        if self._call is not None:
            self._call.cancel()

    async def perform(self) -> Outcome:
        """Calls the target and returns what became of it; raises nothing of the target's making."""
        self._call = asyncio.create_task(self._perform(), name=f"attempt {self.run_id}")
        if self._stopped:
            self._call.cancel()
        try:
            outcome = await self._call
            return replace(outcome, reason=outcome.reason and masked(outcome.reason))
        except asyncio.CancelledError:
            if self._stopped is None:
                raise
            return self._stopped
        except Unavailable:
            return BrokenOff(reason="the database could not be asked for its events")
        except Exception:
            log.exception("attempt.crashed", run_id=self.run_id, target=self.run.target)
            return RetryableFailure(reason="an error in the gateway itself; its log has the details")

    async def _perform(self) -> Outcome:
        if self.cancelling and not self.following:
            self.log("the job goes on at the target, which is not configured any more to follow its jobs")
            return Cancelled()
        timeout = self.settings.timeout
        self.context = await self._context()
        try:
            call = self._target.render(self.context)
        except TemplateError as error:
            return PermanentFailure(reason=f"template: {error}")
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                return await self._target.perform(call, self)
        except TimeoutError:
            late = f"timed out after {format_duration(timeout)}"
            if self.following:
                return RetryableFailure(reason=f"{late}, and its job was still going on")
            return RetryableFailure(reason=late, reached=not self.settings.LATE_IS_UNREACHED)

    async def _context(self) -> dict[str, Any]:
        """What templates see; the events are loaded only where a template looks at them."""
        names = self._target.names
        events = []
        if names & {"event", "events"}:
            events = await events_of(self._database, self.run_id, latest_only="events" not in names)
        return {
            "event": events[-1] if events else None,
            "events": events,
            "payload": orjson.loads(self.run.payload) if "payload" in names else None,
            "run": _shown(self.run),
            "now": clock(self._database.now()),
        }


def _shown(run: ClaimedRun) -> dict[str, str | int | datetime | None]:
    names = ("id", "target", "trigger", "schedule", "key", "attempt", "created_at", "due_at", "started_at", "events")
    return {name: getattr(run, name) for name in names}
