"""The configuration in force: immutable, so that a reload is a swap and nobody sees half of it."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from gateway.core.alert import Alerts
from gateway.core.plan import Lanes
from gateway.core.schedule import Schedule
from gateway.core.trigger import Trigger
from gateway.core.window import Window
from gateway.runtime.settings import Access, Retention, Server
from gateway.sources import Source
from gateway.sources.queue import QueueSource
from gateway.sources.webhook import WebhookSource
from gateway.store.lanes import LaneLimit, LaneLimits
from gateway.targets.base import Target

Listeners = tuple[tuple[str, Trigger], ...]
"""Triggers by name, in the order of the file."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Snapshot:
    """What all loops look at; each takes it anew for every thing it does."""

    hash: str
    sources: Mapping[str, Source]
    triggers: Mapping[str, Trigger]
    targets: Mapping[str, Target]
    windows: Mapping[str, Window]
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    alerts: Alerts = field(default_factory=dict)
    server: Server = field(default_factory=Server)
    access: Access = field(default_factory=Access)
    retention: Retention = field(default_factory=Retention)
    works: bool = True
    """Whether this process carries out runs."""
    opened: AsyncExitStack = field(default_factory=AsyncExitStack)
    """What its targets keep open between calls."""

    async def close(self) -> None:
        """Ends what its targets keep open; calls in progress would break."""
        await self.opened.aclose()

    @cached_property
    def hooks(self) -> Mapping[str, WebhookSource]:
        """The webhook sources by their paths."""
        return {source.path: source for source in self.sources.values() if isinstance(source, WebhookSource)}

    @cached_property
    def queues(self) -> frozenset[QueueSource]:
        return frozenset(source for source in self.sources.values() if isinstance(source, QueueSource))

    @cached_property
    def _listeners(self) -> dict[str, Listeners]:
        found = defaultdict[str, list[tuple[str, Trigger]]](list)
        for pair in self.triggers.items():
            for name in {match.listens_to for match in pair[1].on}:
                found[name].append(pair)
        return {name: tuple(pairs) for name, pairs in found.items()}

    def listeners(self, source: str) -> Listeners:
        """The triggers that look at the events of a source."""
        return self._listeners.get(source, ())

    @cached_property
    def lanes(self) -> Lanes:
        settings = {name: target.settings for name, target in self.targets.items()}
        return {name: one.per_key.key for name, one in settings.items() if one.per_key}

    @cached_property
    def limits(self) -> LaneLimits:
        settings = {name: target.settings for name, target in self.targets.items()}
        return {
            name: LaneLimit(one.per_key.concurrency, one.per_key.ordered)
            for name, one in settings.items()
            if one.per_key
        }

    @cached_property
    def local_targets(self) -> tuple[str, ...]:
        """The targets whose runs may be carried out on this node."""
        labels = set(self.server.labels)
        return tuple(
            name
            for name, target in self.targets.items()
            if self.works and (not target.settings.nodes or labels.intersection(target.settings.nodes))
        )

    def held(self, names: Iterable[str], now: datetime) -> dict[str, str]:
        """Those targets that a window holds back at this moment, and which window that is."""
        held = ((name, self.targets[name].settings.hold) for name in names)
        return {name: window for name, window in held if window is not None and self.windows[window].is_open(now)}


class Current:
    """The one place that changes when a configuration is swapped; `swapped` is set when it is the next time."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.swapped = asyncio.Event()

    def swap(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.swapped.set()
        self.swapped = asyncio.Event()
