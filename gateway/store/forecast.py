"""What the enqueue-once table would decide about requests at this moment; reads only, and locks nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from gateway.core.event import Event
from gateway.core.request import Decision, Request, Verb
from gateway.core.run import State
from gateway.store.accept import cargo_of
from gateway.store.database import Database
from gateway.store.enqueue import Enqueuing
from gateway.store.writer import Work


@dataclass(frozen=True, slots=True)
class Holding:
    """The run that holds a key."""

    run_id: str
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What would become of a request: `due_at` is of the run that it would make or merge into.

    `held_by` is `None` where nobody has used the key, or where there is none.
    """

    decision: Decision
    due_at: datetime | None
    held_by: Holding | None


async def forecast(database: Database, event: Event, requests: Sequence[Request]) -> list[Forecast]:
    """As if an event with these requests came now; those with one key meet each other, as they would then."""
    async with database.read() as connection:
        return await connection.run_sync(partial(_forecast, now=database.now(), event=event, requests=requests))


def _forecast(connection: Connection, now: datetime, event: Event, requests: Sequence[Request]) -> list[Forecast]:
    enqueuing = Enqueuing(Work(connection, now))
    enqueuing.look(requests)
    return [_decide(enqueuing, event, request) for request in requests]


def _decide(enqueuing: Enqueuing, event: Event, request: Request) -> Forecast:
    holder = enqueuing.run(enqueuing.holder_of(request))
    held_by = Holding(holder["id"], State(holder["state"])) if holder else None
    decision = enqueuing.enqueue(request, cargo_of(event))
    run = enqueuing.run(decision.run_id)
    due_at = run["due_at"] if run and decision.decision is not Verb.DUPLICATE else None
    return Forecast(decision=decision, due_at=due_at, held_by=held_by)
