"""Events per second from POST to settled run, as a part of what a forwarder does that keeps nothing but a queue.

The target shares the core of the load generator. On an idle gateway: how long it takes from a POST to the call.
"""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from statistics import median

import orjson
from aiohttp import ClientSession

from tests.bench.load import load
from tests.bench.netbox import configuration
from tests.bench.programs import LOADING_CORE, MEASURED_CORE, bare, gateway
from tests.bench.table import Figure, Round

ROUNDS = 3
FORWARDED = 8_000
DELIVERED = 4_000
WARM_UP = 500
IDLE_POSTS = 60
IDLE_RATE = 20
LOOK_EVERY = 0.02
UNFINISHED = "SELECT count(*) FROM runs WHERE state IN ('queued', 'running', 'retrying')"

Unfinished = Callable[[], Awaitable[int]]


async def measure(folder: Path, profile: Path | None) -> list[Figure]:
    path = folder / "delivered.db"
    with bare("target", LOADING_CORE) as target, bare("forwarding", MEASURED_CORE, target) as forwarder:
        config = configuration(f"sqlite:///{path}", {"url": f"http://127.0.0.1:{target}/", "concurrency": 64})
        async with gateway(config, folder / "delivered", profile) as process:
            await _events_per_second(process.port, WARM_UP, lambda: _unsettled(path))
            rates = [await _round(process.port, forwarder, path) for _ in range(ROUNDS)]
            idle = [await _to_target(process.port, target) for _ in range(ROUNDS)]
    return [
        Figure(name="delivered", unit="/s", rounds=rates, goal=0.35, at_least=True),
        Figure(name="POST to target on an idle gateway, p50", unit="ms", rounds=idle, goal=15),
    ]


async def _round(gateway_port: int, forwarder_port: int, path: Path) -> Round:
    compared = await _events_per_second(forwarder_port, FORWARDED, lambda: _ask(forwarder_port))
    delivered = await _events_per_second(gateway_port, DELIVERED, lambda: _unsettled(path))
    return Round(measured=delivered, bare=compared)


async def _events_per_second(port: int, count: int, unfinished: Unfinished) -> float:
    answered = await load(port, count)
    while await unfinished():  # noqa: ASYNC110 - it happens in another process
        await asyncio.sleep(LOOK_EVERY)
    return count / (time.monotonic() - answered.began)


async def _unsettled(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        count: int = connection.execute(UNFINISHED).fetchone()[0]
        return count


async def _ask(port: int) -> int:
    return int(await _get(port))


async def _to_target(gateway_port: int, target_port: int) -> Round:
    """The calls come in the order of the posts: an idle gateway has one at a time."""
    await _get(target_port)
    answered = await load(gateway_port, IDLE_POSTS, rate=IDLE_RATE)
    await asyncio.sleep(1)
    arrivals = orjson.loads(await _get(target_port))
    delays = [arrival - due for due, arrival in zip(answered.due, arrivals, strict=True)]
    return Round(measured=median(delays) * 1000)


async def _get(port: int) -> bytes:
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as response:
        return await response.read()
