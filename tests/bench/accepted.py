"""Durable accepts per second, as a part of what a bare aiohttp app does that keeps nothing.

The runs that follow belong to a target of another node, so that nothing but accepting is measured. With PostgreSQL, its
processes share both cores.
"""

from contextlib import closing
from pathlib import Path
from statistics import median, quantiles

from tests.bench.load import load
from tests.bench.netbox import configuration
from tests.bench.programs import MEASURED_CORE, bare, gateway
from tests.bench.table import Figure, Round
from tests.servers.postgres import PostgreSQL

ROUNDS = 3
BARE_REQUESTS = 30_000
REQUESTS = 8_000
HALF_LOAD_SECONDS = 4
TARGET = {"url": "http://127.0.0.1:9/", "nodes": ["elsewhere"]}


async def measure(folder: Path, profile: Path | None) -> list[Figure]:
    figures = await _measure("SQLite", f"sqlite:///{folder}/accepted.db", 0.40, folder / "sqlite", profile)
    with closing(PostgreSQL()) as server:
        server.start()
        return figures + await _measure("PostgreSQL", server.url, 0.18, folder / "postgresql", None)


async def _measure(name: str, database: str, goal: float, folder: Path, profile: Path | None) -> list[Figure]:
    with bare("accepting", MEASURED_CORE) as bare_port:
        async with gateway(configuration(database, TARGET), folder, profile) as process:
            await _throughput(bare_port, process.port)
            rates = [await _throughput(bare_port, process.port) for _ in range(ROUNDS)]
            half = median(one.measured for one in rates) / 2
            late = [await _p99(process.port, half) for _ in range(ROUNDS)]
    return [
        Figure(name=f"accepted, {name}", unit="/s", rounds=rates, goal=goal, at_least=True),
        Figure(name=f"p99 at half that load, {name}", unit="ms", rounds=late, goal=50),
    ]


async def _throughput(bare_port: int, gateway_port: int) -> Round:
    compared = await load(bare_port, BARE_REQUESTS)
    accepted = await load(gateway_port, REQUESTS)
    return Round(measured=accepted.per_second, bare=compared.per_second)


async def _p99(gateway_port: int, rate: float) -> Round:
    answered = await load(gateway_port, int(rate * HALF_LOAD_SECONDS), rate=rate)
    return Round(measured=quantiles(answered.latencies, n=100)[-1] * 1000)
