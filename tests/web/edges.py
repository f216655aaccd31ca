"""The edge on a real port, over a real database, as the composition root builds it; dispatching only if asked for."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp
import orjson

from gateway.config.model import Config
from gateway.runtime.dispatcher import Dispatcher
from gateway.runtime.feed import Feed
from gateway.runtime.health import Health
from gateway.runtime.intake import Intake
from gateway.runtime.lease import Lease
from gateway.runtime.live import Live
from gateway.runtime.pausing import Pausing
from gateway.runtime.rejections import Rejections
from gateway.runtime.reload import Candidate, Reload
from gateway.runtime.scheduling import Scheduling
from gateway.runtime.scrape import Scrape
from gateway.runtime.snapshot import Current, Snapshot
from gateway.runtime.watch import Watch
from gateway.sources import webhook
from gateway.sources.webhook import WebhookSource
from gateway.store.database import Database, open_database
from gateway.store.migrate import migrate
from gateway.targets import open_targets
from gateway.web.edge import Deadlines, Edge
from gateway.web.server import serving

OPEN: dict[str, Any] = {"kind": "webhook", "verify": {"scheme": "none"}}
TOKENS = {role: f"{role}-token-0123456789" for role in ("viewer", "operator", "admin")}
ACCESS = {"tokens": [{"name": f"the-{role}", "token": token, "role": role} for role, token in TOKENS.items()]}


@dataclass
class Gateway:
    """What a test talks to."""

    url: str
    api_url: str
    edge: Edge
    session: aiohttp.ClientSession

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def get(self, path: str, **options: Any) -> "Answer":
        return await self.ask("GET", path, **options)

    async def post(self, path: str, **options: Any) -> "Answer":
        return await self.ask("POST", path, **options)

    async def ask(self, method: str, path: str, token: str | None = None, **options: Any) -> "Answer":
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        async with self.session.request(method, self.url + path, headers=headers, **options) as response:
            return Answer(response.status, await response.read(), dict(response.headers))

    async def raw(self, request: bytes, *, seconds: float = 5) -> bytes:
        """All that comes back until the gateway closes the connection; nothing is half-closed on this side."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            async with asyncio.timeout(seconds):
                return await reader.read()
        finally:
            writer.transport.abort()


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@asynccontextmanager
async def running(
    folder: Path,
    settings: Mapping[str, Any] | None = None,
    *,
    deadlines: Deadlines | None = None,
    dispatching: bool = False,
) -> AsyncIterator[Gateway]:
    config = Config.model_validate(
        {"database": {"url": f"sqlite:///{folder}/gateway.db"}, **(settings or {"sources": {"alarms": OPEN}})}
    )
    config = config.model_copy(update={"server": config.server.model_copy(update={"port": 0})})
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(config.database))
        await migrate(database)
        edge = await _edge(stack, config, database, deadlines or Deadlines(), dispatching=dispatching)
        addresses = await stack.enter_async_context(serving(edge))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Gateway(addresses.hooks, addresses.api, edge, session)


def snapshot_of(config: Config, targets: Mapping[str, Any]) -> Snapshot:
    sources = {name: cast("webhook.Settings", section) for name, section in config.sources.items()}
    return Snapshot(
        hash="0" * 64,
        sources={name: WebhookSource(name, section) for name, section in sources.items()},
        triggers=config.triggers,
        targets=targets,
        windows=config.windows,
        schedules=config.schedules,
        alerts=config.alerts,
        server=config.server,
        access=config.access,
    )


async def _edge(
    stack: AsyncExitStack, config: Config, database: Database, deadlines: Deadlines, *, dispatching: bool
) -> Edge:
    targets = await stack.enter_async_context(open_targets(config.targets))
    current = Current(snapshot_of(config, targets))
    lease = Lease(database, current.snapshot, timedelta(seconds=15))
    await lease.acquire()
    dispatcher = Dispatcher(database, current, lease)
    intake = Intake(database, current, dispatcher.wake)
    health = Health(database, lease)
    if dispatching:
        await stack.enter_async_context(_dispatching(dispatcher, Live(database, dispatcher)))
    return Edge(
        database=database,
        current=current,
        intake=intake,
        pausing=Pausing(database, current, dispatcher.wake),
        scheduling=Scheduling(database, current, intake, lambda: None),
        rejections=Rejections(database, current),
        health=health,
        scrape=Scrape(database, current, health),
        reload=Reload(current, lease, dispatcher, _the_same),
        watch=Watch(database),
        feed=Feed(database),
        deadlines=deadlines,
    )


async def _the_same(snapshot: Snapshot) -> Candidate:
    return Candidate(snapshot=snapshot)


@asynccontextmanager
async def _dispatching(dispatcher: Dispatcher, live: Live) -> AsyncIterator[None]:
    task, keeping = asyncio.create_task(dispatcher.run()), asyncio.create_task(live.run())
    yield
    await dispatcher.drain(timedelta(seconds=1))
    keeping.cancel()
    await task
