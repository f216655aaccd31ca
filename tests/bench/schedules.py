"""What schedules cost: at the start, while their times are worked out, and when many are due at the same instant."""

import asyncio
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.runtime.snapshot import Snapshot
from gateway.runtime.ticks import look
from gateway.store.leadership import Leading
from gateway.store.schedules import StoredSchedule
from tests.bench.load import load
from tests.bench.netbox import configuration
from tests.bench.programs import gateway
from tests.bench.stored_schedules import count_ticks, database, reader, store, stored_schedules
from tests.bench.table import Figure, Round
from tests.servers.postgres import PostgreSQL
from tests.waiting import until

ROUNDS = 3
MANY = 100_000
DUE_PER_SECOND = MANY / 60
SAMPLE = 10_000
AT_ONCE = 10_000
REQUESTS = 8_000
IN_TIME_TO_START = timedelta(seconds=10)
TARGET = {"url": "http://127.0.0.1:9/", "nodes": ["elsewhere"]}
EVERY_MINUTE = {"cron": "* * * * *", "timezone": "Europe/Amsterdam", "target": "sync", "payload": {"site": "ams"}}


async def measure(folder: Path, profile: Path | None) -> list[Figure]:
    _work_out()  # with cold caches
    figures = [
        Figure(
            name="working out 1,667 ticks/s", unit="% of a core", rounds=[_work_out() for _ in range(ROUNDS)], goal=10
        ),
        *await _measure("SQLite", f"sqlite:///{folder}/{{}}.db", folder / "sqlite"),
    ]
    with closing(PostgreSQL()) as server:
        server.start()
        for name in ("many", *_rounds()):
            server.create_database(name)
        return figures + await _measure("PostgreSQL", server.url.rpartition("/")[0] + "/{}", folder / "postgresql")


def _rounds() -> list[str]:
    return [f"round{number}" for number in range(ROUNDS)]


def _work_out() -> Round:
    """The processor's time for those that are due in a minute, each once."""
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    minute_before = now - timedelta(minutes=1)
    fields = [{**EVERY_MINUTE, "payload": {"site": number}} for number in range(SAMPLE)]
    stored = stored_schedules(fields, cursor=minute_before, next_at=now)
    snapshot = Snapshot(hash="", sources={}, triggers={}, targets={}, windows={})
    leading = Leading(node_id="bench", epoch=1)
    look(leading, stored[0], snapshot, now)
    began = time.process_time()
    for one in stored:
        look(leading, one, snapshot, now)
    return Round(measured=(time.process_time() - began) / SAMPLE * DUE_PER_SECOND * 100)


async def _measure(name: str, urls: str, folder: Path) -> list[Figure]:
    start = await _start(urls.format("many"), folder / "many")
    rounds = [await _all_at_once(urls.format(number), folder / number) for number in _rounds()]
    return [
        Figure(name=f"start with 100,000 schedules, {name}", unit="s", rounds=[start], goal=3),
        Figure(
            name=f"10,000 ticks at one instant, {name}", unit="s", rounds=[seconds for seconds, _ in rounds], goal=5
        ),
        Figure(
            name=f"ticks, to events accepted, {name}",
            unit="/s",
            rounds=[ratio for _, ratio in rounds],
            goal=0.8,
            at_least=True,
        ),
    ]


async def _start(url: str, folder: Path) -> Round:
    """Until it is ready; their times are spread over the next hour."""
    now = datetime.now(UTC)  # noqa: TID251 - the benchmark's own clock
    stored = stored_schedules([EVERY_MINUTE] * MANY, cursor=now, next_at=now + timedelta(minutes=30))
    async with database(url) as opened:
        await store(opened, stored)
    began = time.monotonic()
    async with gateway(configuration(url, TARGET), folder):
        return Round(measured=time.monotonic() - began)


async def _all_at_once(url: str, folder: Path) -> tuple[Round, Round]:
    """How long it takes from the instant on; and how many a second, to the events that the same node accepts."""
    due = (datetime.now(UTC) + IN_TIME_TO_START).replace(microsecond=0)  # noqa: TID251 - likewise
    async with database(url) as opened:
        await store(opened, _due_at(due))
    async with gateway(configuration(url, TARGET), folder) as process, reader(url) as opened:
        await asyncio.sleep((due - datetime.now(UTC)).total_seconds())  # noqa: TID251 - likewise
        await until(lambda: count_ticks(opened), AT_ONCE, "ticks", seconds=60)
        seconds = (datetime.now(UTC) - due).total_seconds()  # noqa: TID251 - likewise
        accepted = await load(process.port, REQUESTS)
    return Round(measured=seconds), Round(measured=AT_ONCE / seconds, bare=accepted.per_second)


def _due_at(due: datetime) -> list[StoredSchedule]:
    fields: dict[str, Any] = {"at": due.isoformat(), "target": "sync", "payload": {"site": "ams"}}
    return stored_schedules([fields] * AT_ONCE, cursor=due - timedelta(hours=1), next_at=due)
