"""The composition root: builds the parts, starts the loops, and takes the signals; does nothing itself."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Any

import structlog

from gateway.config import Loaded
from gateway.core.errors import Unavailable
from gateway.runtime.dispatcher import Dispatcher
from gateway.runtime.health import Health
from gateway.runtime.intake import Intake
from gateway.runtime.janitor import Janitor, Keep
from gateway.runtime.lease import Lease
from gateway.runtime.listener import listen
from gateway.runtime.snapshot import Current, Snapshot
from gateway.sources.base import Settings as Source
from gateway.sources.webhook import Settings as Webhook
from gateway.sources.webhook import WebhookSource
from gateway.store.database import Database, DatabaseInUse, open_database, weaknesses
from gateway.store.migrate import migrate
from gateway.targets import open_targets
from gateway.web.server import Edge, serving

log = structlog.get_logger(__name__)

CANNOT_START = 2


def run(loaded: Loaded) -> int:
    """Serves until SIGTERM or SIGINT; the exit code, which is 2 where the gateway cannot start."""
    with asyncio.Runner(loop_factory=_event_loop) as runner:
        return runner.run(_run(loaded))


def _event_loop() -> asyncio.AbstractEventLoop:
    """Uvloop's where that extra is installed: the same, in less time."""
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - an extra
    except ImportError:
        return asyncio.new_event_loop()
    return new_event_loop()


async def _run(loaded: Loaded) -> int:
    try:
        async with open_database(loaded.config.database) as database, _snapshot(loaded) as snapshot:
            await _prepare(database)
            await _serve(loaded, database, snapshot)
    except (DatabaseInUse, Unavailable, OSError) as error:
        log.error("gateway.cannot_start", reason=str(error))  # noqa: TRY400 - what is wrong is outside, and said
        return CANNOT_START
    return 0


@contextlib.asynccontextmanager
async def _snapshot(loaded: Loaded) -> AsyncIterator[Snapshot]:
    config = loaded.config
    async with open_targets(config.targets) as targets:
        yield Snapshot(
            hash=loaded.hash,
            sources=_webhooks(config.sources),
            triggers=config.triggers,
            targets=targets,
            windows=config.windows,
            labels=config.server.labels,
        )


def _webhooks(sources: Mapping[str, Source]) -> dict[str, WebhookSource]:
    return {name: WebhookSource(name, section) for name, section in sources.items() if isinstance(section, Webhook)}


async def _prepare(database: Database) -> None:
    if await migrate(database):
        log.info("store.migrated")
    for weakness in await weaknesses(database):
        log.warning("store.weak", reason=weakness)


async def _serve(loaded: Loaded, database: Database, snapshot: Snapshot) -> None:
    """Builds everything, and takes it down in the order in which nothing accepted or begun is lost."""
    server = loaded.config.server
    current = Current(snapshot)
    lease = Lease(database, snapshot, server.lease)
    dispatcher = Dispatcher(database, current, lease, server.slots)
    health = Health(database, lease)
    retention = loaded.config.retention
    janitor = Janitor(database, current, dispatcher, Keep(events=retention.events, runs=retention.runs))
    edge = Edge(
        database=database,
        current=current,
        intake=Intake(database, current, dispatcher.wake),
        health=health,
        access=loaded.config.access,
        server=server,
    )
    await lease.acquire()
    gc.freeze()  # what is loaded by now stays; the collector need not look at it again
    async with (
        serving(edge) as address,  # first: nothing is begun where the address is taken
        _loops(lease.keep(), janitor.run(), listen(database, dispatcher.wake, dispatcher.cancel)),
    ):
        dispatching = asyncio.create_task(dispatcher.run(), name="dispatcher")
        log.info("gateway.ready", address=address, node=lease.node.name, config=loaded.hash[:12])
        await _until_stopped(dispatching)
        health.stopping = True
        log.info("gateway.stopping", running=dispatcher.running, grace=str(server.shutdown_grace))
        await dispatcher.drain(server.shutdown_grace)
    await lease.give_back()
    log.info("gateway.stopped")


@contextlib.asynccontextmanager
async def _loops(*loops: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Loops that go on until the body ends; one that crashes ends the gateway rather than its own work alone."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(loop) for loop in loops]
        yield
        for task in tasks:
            task.cancel()


async def _until_stopped(dispatching: asyncio.Task[None]) -> None:
    """Returns at SIGTERM or SIGINT. Raises where dispatching ends by itself, which is a defect."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait([waiting, dispatching], return_when=asyncio.FIRST_COMPLETED)
    if dispatching.done():
        waiting.cancel()
        await dispatching
