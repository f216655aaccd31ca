"""Reload: a new configuration takes the place of the one in force, and what is in progress ends under the old one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import structlog

from gateway.core.errors import Unavailable
from gateway.runtime.dispatcher import Dispatcher
from gateway.runtime.lease import Lease
from gateway.runtime.snapshot import Current, Snapshot
from gateway.runtime.ticks import forget_zones
from gateway.store.acts import Act, acting

log = structlog.get_logger(__name__)


class Unusable(Exception):  # noqa: N818 - what the configuration is
    """A configuration that cannot come into force; each problem is a path, and a message that says where it stands."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A configuration that can come into force; `restart_needed` are the paths of what it changes in vain till then."""

    snapshot: Snapshot
    warnings: tuple[str, ...] = ()
    restart_needed: tuple[str, ...] = ()


Reread = Callable[[Snapshot], Awaitable[Candidate]]
"""Loads the configuration anew, given the one in force. Raises `Unusable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """What a reload has done; `changed` is false where the new configuration is the same as the old."""

    config_hash: str
    changed: bool
    warnings: tuple[str, ...]
    restart_needed: tuple[str, ...]


class Reload:
    """Swaps configurations, one after the other."""

    def __init__(self, current: Current, lease: Lease, dispatcher: Dispatcher, reread: Reread) -> None:
        self._current = current
        self._lease = lease
        self._dispatcher = dispatcher
        self._reread = reread
        self._asked = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._retiring: dict[Snapshot, asyncio.Task[None]] = {}

    def ask(self) -> None:
        """Has `run` reload soon; what is asked until then is one reload."""
        self._asked.set()

    async def run(self) -> None:
        """Reloads whenever it is asked to, for ever; what goes wrong leaves the old configuration in force."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                with acting(Act(actor="SIGHUP", action="reload", kind="configuration")):
                    await self.now()
            except Unusable:
                pass  # said already
            except Unavailable as error:
                log.warning("config.reload_failed", reason=error.detail)
            except Exception:
                log.exception("config.reload_failed")

    async def now(self) -> Reloaded:
        """Raises `Unusable`, or `Unavailable` where the other nodes cannot be told; then nothing has changed."""
        async with self._one_at_a_time:
            before = self._current.snapshot
            ZoneInfo.clear_cache()  # their rules may have changed on disk
            try:
                candidate = await self._reread(before)
            except Unusable as unusable:
                problems = [": ".join(filter(None, problem)) for problem in unusable.problems]
                log.error("config.reload_failed", problems=problems)  # noqa: TRY400 - what is wrong is outside, and said
                raise
            await self._swap(before, candidate.snapshot)
        reloaded = Reloaded(
            config_hash=candidate.snapshot.hash,
            changed=candidate.snapshot.hash != before.hash,
            warnings=candidate.warnings,
            restart_needed=candidate.restart_needed,
        )
        _report(reloaded)
        return reloaded

    async def aclose(self) -> None:
        """Closes what all configurations keep open, in use or not."""
        for snapshot, waiting in list(self._retiring.items()):
            waiting.cancel()
            await snapshot.close()
        await self._current.snapshot.close()

    async def _swap(self, before: Snapshot, after: Snapshot) -> None:
        try:
            await self._lease.tell(after)
        except BaseException:
            await after.close()
            raise
        self._current.swap(after)
        forget_zones()
        self._dispatcher.wake(after.targets)
        self._retiring[before] = asyncio.create_task(self._retire(before), name="retiring configuration")

    async def _retire(self, snapshot: Snapshot) -> None:
        """Whatever begins from now on looks at the new configuration."""
        await self._dispatcher.finish()
        await snapshot.close()
        del self._retiring[snapshot]


def _report(reloaded: Reloaded) -> None:
    for warning in reloaded.warnings:
        log.warning("config.warning", warning=warning)
    if reloaded.restart_needed:
        log.warning("config.restart_needed", paths=reloaded.restart_needed)
    log.info("config.reloaded", config=reloaded.config_hash[:12], changed=reloaded.changed)
