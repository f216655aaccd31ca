"""The ledger of ticks: each due instant became one tick, or is on record as missed or skipped; never both, never none.

All of the schedules here are due at each whole second, so what had to be made is known without asking the gateway.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import orjson

from tests.gateways import Settings, configuration
from tests.target_answer import Answer
from tests.target_server import Call, TargetServer
from tests.waiting import until

SECOND = 1_000_000  # instants are stored in microseconds
SLOTS = 8

_CATCHES_UP = {"policy": "all", "max": 1000}
_SCHEDULES: Mapping[str, Settings] = {
    "each": {"interval": "1s", "misfire": _CATCHES_UP, "overlap": "allow"},
    "queued": {"cron": "* * * * * *", "misfire": _CATCHES_UP},
    "newest": {"cron": "* * * * * *"},
    "scattered": {"interval": "1s", "jitter": "300ms"},
    "punctual": {"cron": "* * * * * *", "misfire": {"policy": "skip"}},
    "slow": {"interval": "1s", "overlap": "skip"},
}

_BOOKS = """
SELECT json_build_object(
    'now', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    'schedules', (SELECT json_agg(json_build_array(name, created_at, "cursor")) FROM schedules),
    'ticks', (SELECT json_agg(json_build_array(
        id, source, time, received_at, convert_from(body, 'UTF8')::json->'missed', verbs
        )) FROM events WHERE type = 'gateway.tick'),
    'skips', (SELECT json_agg(json_build_array(schedule, "from", "to", count)) FROM skips),
    'runs', (SELECT json_agg(event_id) FROM (
        SELECT id, event_id FROM runs UNION ALL SELECT run_id, event_id FROM run_events
        ) AS of_runs NATURAL JOIN (SELECT id FROM runs WHERE state <> 'superseded') AS runs)
)
"""

Instant = tuple[str, int]
"""A schedule's name, and the second in which it is due."""


def ticking(target: TargetServer, database_url: str, **database: Any) -> dict[str, Any]:
    """Schedules of every policy that say their names to the target; nodes that end at once."""
    server = {"slots": SLOTS, "shutdown_grace": "1s"}
    config = configuration(target, database_url, server=server, calls={"concurrency": 3 * SLOTS})
    asked = {"target": "sync", "payload": {"name": "{{ event.source }}"}}
    schedules = {name: {**asked, **timing} for name, timing in _SCHEDULES.items()}
    return {**config, "database": {**config["database"], **database}, "schedules": schedules}


def answer(call: Call) -> Answer:
    """The runs of one schedule are not over when it is due again."""
    return Answer(delay=1.3 if call.json["name"] == "slow" else 0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    event_id: str
    schedule: str
    time: int
    made_at: int
    missed: int
    verbs: str

    @property
    def late_by(self) -> timedelta:
        return timedelta(microseconds=self.made_at - self.time)

    @property
    def instants(self) -> Iterator[Instant]:
        """Its own, and those that it stands for."""
        return ((self.schedule, self.time // SECOND - number) for number in range(self.missed + 1))


class TickLedger:
    """Reads from the tables what became of each second since it was opened, or the schedules were set up."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._since = 0

    async def ask(self, query: str, *arguments: object) -> Any:
        """The first field of the first row; by a connection of its own, as the server may come and go."""
        connection = await asyncpg.connect(self._database_url)
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()

    async def open(self) -> None:
        """From now on."""
        self._since = (await self._read())["now"]

    async def ticks(self) -> list[Tick]:
        """What has been made since."""
        return self._ticks(await self._read())

    async def goes_on(self, *, seconds: float = 10) -> None:
        """Waits until everything that is due by now has been considered."""
        due = (await self._read())["now"]

        async def is_considered() -> bool:
            return all(cursor >= due for _, _, cursor in (await self._read())["schedules"])

        await until(is_considered, True, "all schedules are considered", seconds=seconds)

    async def check(self) -> None:
        """Waits until nothing that is due by now is pending, then judges."""
        await self.goes_on()
        books = await self._read()
        ticks = self._ticks(books)
        due = Counter(self._due(books["schedules"]))
        recorded = Counter(instant for instant in self._recorded(ticks, books["skips"] or ()) if instant in due)
        assert not due - recorded, f"lost: {_shown(due - recorded)}"
        assert not recorded - due, f"recorded twice: {_shown(recorded - due)}"
        assert {tick.verbs for tick in ticks} <= {"enqueued", "merged"}
        runs = Counter(books["runs"])
        odd = {tick.event_id: runs[tick.event_id] for tick in ticks if runs[tick.event_id] != 1}
        assert not odd, f"not in one run: {odd}"

    async def _read(self) -> dict[str, Any]:
        books: dict[str, Any] = orjson.loads(await self.ask(_BOOKS))
        return books

    def _ticks(self, books: dict[str, Any]) -> list[Tick]:
        names = ("event_id", "schedule", "time", "made_at", "missed", "verbs")
        ticks = [Tick(**dict(zip(names, row, strict=True))) for row in books["ticks"] or ()]
        return [tick for tick in ticks if tick.time > self._since]

    def _due(self, schedules: Sequence[tuple[str, int, int]]) -> Iterator[Instant]:
        for name, created_at, cursor in schedules:
            first = max(created_at, self._since) // SECOND + 1
            yield from ((name, second) for second in range(first, cursor // SECOND + 1))

    def _recorded(self, ticks: Sequence[Tick], skips: Sequence[tuple[str, int, int, int]]) -> Iterator[Instant]:
        for tick in ticks:
            yield from tick.instants
        for name, since, to, count in skips:
            seconds = range(since // SECOND, to // SECOND + 1)
            assert len(seconds) == count, f"{name} skipped {count} from {since} to {to}"
            yield from ((name, second) for second in seconds)


def _shown(instants: Counter[Instant]) -> list[Instant]:
    return sorted(instants.elements())[:10]
