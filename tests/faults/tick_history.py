"""What became of the due instants of schedules, as the database tells once the gateway has ended."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from pydantic import SecretStr

from gateway.store.database import Database, open_database
from gateway.store.history import EventFilter, list_events
from gateway.store.schedules import StoredSchedule, list_schedules
from gateway.store.settings import DatabaseSettings
from gateway.store.skips import list_skips

ALL = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeTick:
    """A due instant that was made, and how many others it stands for."""

    instant: datetime
    made_at: datetime
    missed: int

    @property
    def late_by(self) -> timedelta:
        return self.made_at - self.instant


@dataclass(frozen=True, slots=True, kw_only=True)
class TickHistory:
    """Of one schedule, oldest first; `skips` are records of {from, to, count, reason}."""

    stored: StoredSchedule
    made: list[MadeTick]
    skips: list[dict[str, Any]]

    @property
    def instants(self) -> list[datetime]:
        return [tick.instant for tick in self.made]

    def check(self, every: timedelta) -> None:
        """Each due instant of an interval is made, or stood for, or skipped on record: one of these, and once."""
        told, due = Counter(self._told(every)), set(self._due(every))
        lost, doubled = due - told.keys(), [instant for instant, count in told.items() if count > 1]
        assert not lost, f"lost {len(lost)} of {len(due)} ticks: {sorted(lost)[:10]}"
        assert not doubled, f"doubled {len(doubled)} of {len(due)} ticks: {sorted(doubled)[:10]}"
        assert told.keys() == due, f"never due: {sorted(told.keys() - due)[:10]}"

    def comes_one_by_one(self, *, late: timedelta) -> bool:
        """Nothing is skipped or missed, and no tick is early or so late."""
        return not self.skips and all(not tick.missed and timedelta(0) <= tick.late_by < late for tick in self.made)

    def _due(self, every: timedelta) -> Iterator[datetime]:
        """From its creation up to where it was considered last."""
        instant = self.stored.anchor + every
        while instant <= self.stored.cursor:
            yield instant
            instant += every

    def _told(self, every: timedelta) -> Iterator[datetime]:
        for tick in self.made:
            yield from (tick.instant - number * every for number in range(tick.missed + 1))
        for skip in self.skips:
            yield from (skip["from"] + number * every for number in range(skip["count"]))


async def tick_histories(database_url: str) -> Mapping[str, TickHistory]:
    """By the names of the schedules."""
    async with open_database(DatabaseSettings(url=SecretStr(database_url))) as database:
        made = await _made(database)
        return {
            stored.name: TickHistory(
                stored=stored, made=made.get(stored.name, []), skips=await _skips(database, stored.name)
            )
            for stored in await list_schedules(database)
        }


async def _skips(database: Database, name: str) -> list[dict[str, Any]]:
    return (await list_skips(database, name, ALL))[::-1]


async def _made(database: Database) -> dict[str, list[MadeTick]]:
    made: dict[str, list[MadeTick]] = {}
    page = await list_events(database, EventFilter(type="gateway.tick"), ALL)
    for event in sorted(page.items, key=lambda event: event["time"]):
        missed = orjson.loads(orjson.dumps(event["data"]))["missed"]
        tick = MadeTick(instant=event["time"], made_at=event["received_at"], missed=missed)
        made.setdefault(event["source"], []).append(tick)
    return made
