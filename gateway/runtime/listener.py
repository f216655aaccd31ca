"""Hears at once what other nodes commit, where the database can tell; otherwise looking once a second has to do."""

import asyncio
from collections.abc import Callable, Iterable

import orjson
import structlog

from gateway.store.database import Database
from gateway.store.faults import Fault, classify

log = structlog.get_logger(__name__)

AGAIN_AFTER = 1.0


async def listen(
    database: Database,
    wake: Callable[[Iterable[str]], None],
    cancel: Callable[[Iterable[str]], None],
    leader_resigned: Callable[[], None],
    schedules_changed: Callable[[], None],
) -> None:
    """Passes on announcements, for ever; a lost connection is made anew."""

    def heard(announcement: str) -> None:
        match orjson.loads(announcement or "[]"):
            case [*names]:
                wake(names)
            case {"cancel": run_id}:
                cancel([run_id])
            case {"leader": None}:
                leader_resigned()
            case {"schedules": None}:
                schedules_changed()

    while database.announces:
        try:
            await database.listen(heard)
        except Exception as error:
            if classify(error) is Fault.REQUEST:
                raise
        log.warning("listener.reconnecting")
        await asyncio.sleep(AGAIN_AFTER)
