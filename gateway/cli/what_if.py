"""What a configuration would have made of the events that a gateway has recorded."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from gateway.cli.client import Client
from gateway.cli.explaining import snapshot_of
from gateway.config import Loaded
from gateway.core.event import Cause, Event
from gateway.core.plan import plan
from gateway.core.request import Decision, Verb
from gateway.core.trigger import GATEWAY, RUN_ENDED
from gateway.core.what_if import Comparison, Made
from gateway.sources.message import REJECTED

PAGE = 200
"""Events of a megabyte each are still an answer that can be held."""


def compare(loaded: Loaded, client: Client, since: str) -> Comparison:
    """Plans all recorded events with a configuration; `since` is a time or an age, as in the API. Raises `Failure`."""
    return asyncio.run(_compare(loaded, client, since))


async def _compare(loaded: Loaded, client: Client, since: str) -> Comparison:
    comparison = Comparison({run["id"]: Made(run["target"], run["key"]) for run in _all(client, "runs", since)})
    async with snapshot_of(loaded) as snapshot:
        for document in _all(client, "events", since):
            if document["type"] == REJECTED:
                continue
            event = _event(document)
            steps = plan(event, snapshot.listeners(event.source), snapshot.lanes, event.received_at).steps
            comparison.add(event.id, event.received_at, map(_decision, document["decisions"]), steps)
    return comparison


def _all(client: Client, what: str, since: str) -> Iterator[dict[str, Any]]:
    """The items of all pages, newest first."""
    cursor = None
    while True:
        page = client.get(what, since=since, limit=PAGE, cursor=cursor)
        yield from page["items"]
        cursor = page["next"]
        if cursor is None:
            return


def _event(document: dict[str, Any]) -> Event:
    names = ("id", "source", "type", "subject", "sender_id", "data", "object", "headers")
    return Event(
        **{name: document[name] for name in names},
        time=datetime.fromisoformat(document["time"]),
        received_at=datetime.fromisoformat(document["received_at"]),
        changed=tuple(document["changed"]),
        body=orjson.dumps(document["data"]),
        cause=_cause(document),
    )


def _cause(document: dict[str, Any]) -> Cause | None:
    """The run whose end it tells of, as its own trigger does not listen to it; how deep the chain is, nobody says."""
    if document["source"] != GATEWAY or not document["type"].startswith(RUN_ENDED):
        return None
    run = document["data"]["run"]
    return Cause(run_id=run["id"], trigger=run["trigger"], origin_event_id=document["id"], depth=1)


def _decision(document: dict[str, Any]) -> Decision:
    return Decision(**document | {"decision": Verb(document["decision"])})
