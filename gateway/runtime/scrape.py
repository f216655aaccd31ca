"""A scrape: what this node has counted, beside what the database says of all of them, which is read at most so often.

A database that is away, or busy with the answer, keeps no scrape waiting for long: its part is left out.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

import structlog
from prometheus_client import Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gateway.runtime import observe
from gateway.runtime.health import Health
from gateway.runtime.snapshot import Current
from gateway.store.database import Database
from gateway.store.faults import told
from gateway.store.leadership import who_leads
from gateway.store.load import Load, loads_of_targets
from gateway.store.schedules import next_look

log = structlog.get_logger(__name__)

FRESH_FOR = 5.0
"""Seconds for which a reading serves all scrapes."""
BUSY = 20
"""So many times longer than a reading took nothing is read again: with a long backlog counting takes a while."""
PATIENCE = 2.0
"""Seconds that a scrape waits for a reading."""
TOO_OLD = 120.0
"""Seconds after which a reading says nothing any more, where none has followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the database said; `at` is of the monotonic clock."""

    at: float
    now: datetime
    loads: dict[str, Load]
    leader: Mapping[str, Any] | None
    next_look: datetime | None


class Scrape:
    """One at a time, however many scrapers there are."""

    def __init__(self, database: Database, current: Current, health: Health) -> None:
        self._database = database
        self._current = current
        self._health = health
        self._reading: Reading | None = None
        self._look: asyncio.Task[None] | None = None
        self._look_again_at = 0.0
        self._one_at_a_time = asyncio.Lock()

    async def page(self) -> bytes:
        """All metrics in Prometheus' text format."""
        async with self._one_at_a_time:
            found = chain([*self._of_this_node()], self._of_all_nodes(await self._read()))
            observe.follow(self._current.snapshot)
            return await asyncio.to_thread(generate_latest, _Page(found))  # with thousands of targets it takes a while

    async def _read(self) -> Reading | None:
        if self._look is None and time.monotonic() >= self._look_again_at:
            self._look = asyncio.create_task(self._look_at_the_database(), name="scrape")
        if self._look:
            await asyncio.wait({self._look}, timeout=PATIENCE)
        is_of_use = self._reading and time.monotonic() < self._reading.at + TOO_OLD
        return self._reading if is_of_use else None

    async def _look_at_the_database(self) -> None:
        began = time.monotonic()
        try:
            loads = await loads_of_targets(self._database)
            leader = await who_leads(self._database)
            now, due = await next_look(self._database)
        except Exception as error:  # noqa: BLE001 - a scrape reports that something is wrong, the rest is for others
            log.debug("scrape.store_unavailable", error=told(error))
            self._reading = None
        else:
            self._reading = Reading(at=began, now=now, loads=loads, leader=leader, next_look=due)
        finally:
            ended = time.monotonic()
            self._look_again_at = ended + max(FRESH_FOR, BUSY * (ended - began))
            self._look = None

    def _of_this_node(self) -> Iterator[Metric]:
        known = self._current.snapshot.sources
        states = {name: state == "ok" for name, state in self._health.sources.items() if name in known}
        yield _gauge("amqp_connected", "Whether a source consumes its queue.", "source", states.items())

    def _of_all_nodes(self, reading: Reading | None) -> Iterator[Metric]:
        yield _single("store_up", "Whether the database answers.", reading is not None)
        if reading is None:
            return
        known = self._current.snapshot.targets
        loads = {name: reading.loads.get(name) or Load() for name in known}
        yield from _of_targets(loads, reading.now)
        leads = reading.leader is not None and reading.leader["node_id"] == self._health.node.id
        yield _single("leader", "Whether this node leads the clock.", leads)
        late = max(timedelta(0), reading.now - (reading.next_look or reading.now)).total_seconds()
        yield _single("schedule_lag_seconds", "For how long a schedule has been due that nobody has looked at.", late)


class _Page(Collector):
    """What this node has counted, and what was found beside it; can be looked at once."""

    def __init__(self, found: Iterable[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        yield from observe.REGISTRY.collect()
        yield from self._found


def _of_targets(loads: dict[str, Load], now: datetime) -> Iterator[Metric]:
    def gauge(name: str, says: str, values: Iterable[float]) -> Metric:
        return _gauge(name, says, "target", zip(loads, values, strict=True))

    all_loads = loads.values()
    yield gauge("waiting_runs", "Runs that wait, also for their next attempt.", (one.waiting for one in all_loads))
    yield gauge("running_runs", "Runs in progress.", (one.running for one in all_loads))
    ages = ((now - one.oldest).total_seconds() if one.oldest else 0.0 for one in all_loads)
    yield gauge("oldest_waiting_seconds", "The age of the oldest run that waits.", ages)
    yield gauge("breaker_open", "Whether the target counts as not to be reached.", (one.open for one in all_loads))
    yield gauge("target_paused", "Whether somebody has paused the target.", (one.paused for one in all_loads))


def _gauge(name: str, says: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(f"gateway_{name}", says, labels=[label])
    for named, value in values:
        family.add_metric([named], value)
    return family


def _single(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(f"gateway_{name}", says, value=value)
