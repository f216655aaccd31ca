"""Changes of runs and events as they happen, from whichever node."""

import re
from typing import Annotated

import orjson
from aiohttp import web
from pydantic import Field, PlainValidator

from gateway.core.access import Role
from gateway.core.ids import is_id
from gateway.runtime.feed import Feed
from gateway.store.changes import Change, Place
from gateway.web.api.logs import LAST_EVENT_ID
from gateway.web.edge import EDGE
from gateway.web.parameters import Model, Name, parse_headers, parse_query
from gateway.web.route import Media, Route
from gateway.web.sse import Message, Messages, stream

_PLACE = re.compile(r"([0-9]{1,18})\.([0-9a-f-]{36})", re.ASCII)


class StreamQuery(Model):
    """Without any, all is told; with one of them, only what has such a name."""

    source: Name | None = None
    target: Name | None = None

    def wants(self, change: Change) -> bool:
        if self.source is None and self.target is None:
            return True
        name = self.source if change.kind == "event" else self.target
        return name is not None and name == change.shown["source" if change.kind == "event" else "target"]


def _place(last_id: str) -> Place | None:
    match = _PLACE.fullmatch(last_id)
    if last_id and (match is None or not is_id(match[2])):
        raise ValueError("expected the id of an event of this stream")
    return Place(int(match[1]), match[2]) if match else None


class Seen(Model):
    """How far a reader has come who lost the stream."""

    last: Annotated[Place | None, PlainValidator(_place, json_schema_input_type=str)] = Field(
        None,
        alias=LAST_EVENT_ID,
        description="The id of the last event that was seen.",
        json_schema_extra={"pattern": f"^({_PLACE.pattern})?$"},
    )


async def show_stream(request: web.Request) -> web.StreamResponse:
    """Changes of runs and events, from now on, or from the one on that `Last-Event-ID` names.

    Each is a run or an event as it is then. With `source` only events of it are told, with `target` only its runs.
    """
    query, feed = parse_query(request, StreamQuery), request.app[EDGE].feed
    seen = parse_headers(request, Seen).last
    place = seen or await feed.latest()
    return await stream(request, _messages(feed, place, query, is_at_end=seen is None))


def _id(place: Place) -> str:
    return f"{place.number}.{place.id}"


async def _messages(feed: Feed, place: Place, query: StreamQuery, *, is_at_end: bool) -> Messages:
    yield Message(id=_id(place))  # so that whoever loses the stream before anything has happened can resume it, too
    while True:
        changes = await feed.after(place, patiently=is_at_end)
        for change in changes.items if changes else ():
            if query.wants(change):
                yield Message(name=change.kind, id=_id(change.place), data=_json(change))
        if changes:
            place = changes.until
        is_at_end = changes is None or changes.are_all
        yield None


def _json(change: Change) -> str:
    return orjson.dumps(change.shown, option=orjson.OPT_UTC_Z).decode()


ROUTES = (
    Route(
        "GET",
        "/api/v1/stream",
        Role.VIEWER,
        show_stream,
        query=StreamQuery,
        headers=Seen,
        replies={200: Media(("text/event-stream",))},
    ),
)
