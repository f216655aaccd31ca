"""The composition root: builds the parts, starts the loops, and takes the signals; does nothing itself."""

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import structlog

from gateway.config import Config, ConfigurationError, Loaded, Problem, load
from gateway.core.errors import Unavailable
from gateway.core.secrecy import hide
from gateway.log import secrets_in
from gateway.runtime import observe
from gateway.runtime.consuming import Consuming
from gateway.runtime.dispatcher import Dispatcher
from gateway.runtime.feed import Feed
from gateway.runtime.health import Health
from gateway.runtime.intake import Intake
from gateway.runtime.janitor import Janitor
from gateway.runtime.leadership import Leadership
from gateway.runtime.lease import Lease
from gateway.runtime.listener import listen
from gateway.runtime.live import Live
from gateway.runtime.lookout import Lookout
from gateway.runtime.pausing import Pausing
from gateway.runtime.rejections import Rejections
from gateway.runtime.reload import Candidate, Reload, Unusable
from gateway.runtime.role import Role
from gateway.runtime.scheduling import Scheduling
from gateway.runtime.scrape import Scrape
from gateway.runtime.snapshot import Current, Snapshot
from gateway.runtime.ticker import Ticker
from gateway.runtime.watch import Watch
from gateway.sources import Source, configured
from gateway.sources.base import Settings
from gateway.store.database import Database, DatabaseInUse, open_database
from gateway.store.migrate import migrate
from gateway.store.weaknesses import weaknesses
from gateway.targets import open_targets
from gateway.web.server import Edge, serving

log = structlog.get_logger(__name__)

CANNOT_START = 2
COLLECTORS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
FIXED = ("server.host", "server.port", "server.admin", "server.tls", "server.lease", "database")
"""The paths of what a reload cannot change."""

Loop = Callable[[], Coroutine[Any, Any, None]]


def run(loaded: Loaded, config_file: Path, roles: Collection[Role]) -> int:
    """Serves until SIGTERM or SIGINT; the exit code, which is 2 where the gateway cannot start."""
    configuration = _Configuration(file=config_file, at_start=loaded, works=Role.WORKER in roles)
    with asyncio.Runner(loop_factory=_event_loop) as runner:
        return runner.run(_run(configuration, roles))


def _exporting() -> contextlib.AbstractAsyncContextManager[None]:
    """Of traces, where the environment says to whom, and the extra for it is installed."""
    if not any(os.environ.get(name) for name in COLLECTORS):
        return contextlib.nullcontext()
    try:
        from gateway.runtime.otel import exporting  # noqa: PLC0415 - an extra, and it takes long to load
    except ImportError:
        log.warning("tracing.off", reason="the extra otel is not installed")
        return contextlib.nullcontext()
    return exporting()


def _event_loop() -> asyncio.AbstractEventLoop:
    """Uvloop's where that extra is installed: the same, in less time."""
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - an extra
    except ImportError:
        return asyncio.new_event_loop()
    return new_event_loop()


async def _run(configuration: "_Configuration", roles: Collection[Role]) -> int:
    try:
        async with _exporting(), open_database(configuration.at_start.config.database) as database:
            await _prepare(database, roles)
            await _serve(database, configuration, roles)
    except (DatabaseInUse, Unavailable, OSError) as error:
        log.error("gateway.cannot_start", reason=str(error))  # noqa: TRY400 - what is wrong is outside, and said
        return CANNOT_START
    return 0


async def _prepare(database: Database, roles: Collection[Role]) -> None:
    if await migrate(database):
        log.info("store.migrated")
    for weakness in await weaknesses(database):
        log.warning("store.weak", reason=weakness)
    if database.is_sqlite and (left_out := [role for role in Role if role not in roles]):
        log.warning("gateway.roles_left_out", roles=left_out, reason="on SQLite no other process can do their work")


async def _serve(database: Database, configuration: "_Configuration", roles: Collection[Role]) -> None:
    """Builds everything, and takes it down in the order in which nothing accepted or begun is lost."""
    current = Current(await configuration.open())
    database.on_commit = observe.committed
    lease = Lease(database, current.snapshot, current.snapshot.server.lease)
    dispatcher = Dispatcher(database, current, lease)
    reload = Reload(current, lease, dispatcher, configuration.reread)
    intake = Intake(database, current, dispatcher.wake)
    consuming = Consuming(database, current, intake)
    health = Health(database, lease, consuming.states)
    leadership = Leadership(database, lease, current.snapshot.server.lease)
    ticker = Ticker(database, current, leadership, dispatcher.wake)
    lookout = Lookout(database, current, leadership)
    rejections = Rejections(database, current)
    scheduling = Scheduling(database, current, intake, ticker.wake)
    pausing = Pausing(database, current, dispatcher.wake)
    edge = Edge(
        database=database,
        current=current,
        intake=intake,
        pausing=pausing,
        scheduling=scheduling,
        rejections=rejections,
        health=health,
        scrape=Scrape(database, current, health),
        reload=reload,
        watch=Watch(database),
        feed=Feed(database),
    )
    janitor = Janitor(database, current, dispatcher, pausing)
    hearing = partial(listen, database, dispatcher.wake, dispatcher.cancel, leadership.wake, ticker.wake)
    always: tuple[Loop, ...] = (lease.keep, reload.run, hearing, observe.watch_event_loop)
    loops: Mapping[Role, tuple[Loop, ...]] = {
        Role.WEB: (consuming.run, rejections.run),
        Role.WORKER: (dispatcher.run, Live(database, dispatcher).run, janitor.run),
        Role.SCHEDULER: (leadership.run, ticker.run, lookout.run),
    }
    async with contextlib.aclosing(reload):
        await lease.acquire()
        gc.freeze()  # what is loaded by now stays; the collector need not look at it again
        async with (
            # first: nothing is begun where the address is taken
            serving(edge, probes_only=Role.WEB not in roles) as addresses,
            _running(*always, *(loop for role in roles for loop in loops[role])),
        ):
            stopped = _listen_to_signals(reload)
            config = current.snapshot.hash[:12]
            log.info("gateway.ready", address=addresses.hooks, api=addresses.api, node=lease.node.name, config=config)
            await stopped.wait()
            health.stopping = True
            grace = current.snapshot.server.shutdown_grace
            log.info("gateway.stopping", running=dispatcher.running, grace=str(grace))
            await consuming.stop()
            await leadership.resign()
            await dispatcher.drain(grace)
        await lease.give_back()
    log.info("gateway.stopped")


@contextlib.asynccontextmanager
async def _running(*loops: Loop) -> AsyncIterator[None]:
    """Loops that go on until the body ends; one that crashes ends the gateway rather than its own work alone."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(loop()) for loop in loops]
        yield
        for task in tasks:
            task.cancel()


def _listen_to_signals(reload: Reload) -> asyncio.Event:
    """The event is set at SIGTERM or SIGINT; SIGHUP asks for a reload."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    loop.add_signal_handler(signal.SIGHUP, reload.ask)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    return stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class _Configuration:
    """Where the configuration comes from, and what it was at the start."""

    file: Path
    at_start: Loaded
    works: bool

    async def open(self) -> Snapshot:
        return await self._open(self.at_start, _sources(self.at_start.config.sources, {}))

    async def reread(self, before: Snapshot) -> Candidate:
        """As it is written now. Raises `Unusable`."""
        try:  # large ones take seconds, in which the event loop has other things to do
            loaded, sources = await asyncio.to_thread(self._load, before)
        except ConfigurationError as error:
            problems = [(problem.path, str(replace(problem, path=""))) for problem in error.problems]
            raise Unusable(problems) from error
        return Candidate(
            snapshot=await self._open(loaded, sources),
            warnings=tuple(map(str, loaded.warnings)),
            restart_needed=_restart_needed(self.at_start.config, loaded.config),
        )

    def _load(self, before: Snapshot) -> tuple[Loaded, Mapping[str, Source]]:
        loaded = load(self.file, os.environ)
        if not loaded.config.model_fields_set:  # somebody is about to write it
            raise ConfigurationError([Problem(str(self.file), None, None, "", "there is nothing in it")])
        hide(secrets_in(loaded.config))
        return loaded, _sources(loaded.config.sources, before.sources)

    async def _open(self, loaded: Loaded, sources: Mapping[str, Source]) -> Snapshot:
        config = loaded.config
        async with contextlib.AsyncExitStack() as opened:
            targets = await opened.enter_async_context(open_targets(config.targets))
            return Snapshot(
                hash=loaded.hash,
                sources=sources,
                triggers=config.triggers,
                targets=targets,
                windows=config.windows,
                schedules=config.schedules,
                alerts=config.alerts,
                server=config.server,
                access=config.access,
                retention=config.retention,
                works=self.works,
                opened=opened.pop_all(),
            )


def _sources(sections: Mapping[str, Settings], before: Mapping[str, Source]) -> dict[str, Source]:
    """Those that are as before stay: the rate of their requests is known, their queue goes on being consumed."""
    same = {name: source for name, source in before.items() if source.settings == sections.get(name)}
    return {name: same.get(name) or configured(name, section) for name, section in sections.items()}


def _restart_needed(at_start: Config, now: Config) -> tuple[str, ...]:
    return tuple(path for path in FIXED if attrgetter(path)(at_start) != attrgetter(path)(now))
