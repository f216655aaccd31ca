"""The log of a run: as text, or followed as it grows, from whichever node."""

import asyncio
import re
from collections.abc import Iterator
from typing import Annotated, Any

import orjson
from aiohttp import hdrs, web
from pydantic import AfterValidator, Field

from gateway.core.access import Role
from gateway.core.errors import NotFound, Unavailable
from gateway.core.ids import is_id
from gateway.core.run import FINAL
from gateway.core.transcript import heading, log_line
from gateway.store.logs import Part, Position, read_part
from gateway.web.edge import EDGE, Edge
from gateway.web.parameters import Model, parse_headers, parse_query
from gateway.web.route import Media, Route
from gateway.web.sse import Message, Messages, stream

LAST_EVENT_ID = "Last-Event-ID"
AGAIN_AFTER = 1.0
_END = "end"
_PLACE = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}", re.ASCII)
_NOT_ENDED = {"finished_at": None, "outcome": None, "status": None, "reason": None}
_TEXT = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class LogQuery(Model):
    follow: bool = False


def _refuse_unknown(place: str) -> str:
    if place not in ("", _END) and not _PLACE.fullmatch(place):
        raise ValueError("expected the id of an event of this log")
    return place


class Seen(Model):
    """How far a reader has come who lost the stream."""

    last: Annotated[str, AfterValidator(_refuse_unknown)] = Field(
        "",
        alias=LAST_EVENT_ID,
        description="With `follow`: the id of the last event that was seen.",
        json_schema_extra={"pattern": f"^({_END}|{_PLACE.pattern})?$"},
    )


async def show_log(request: web.Request) -> web.StreamResponse:
    """What its target said in each attempt, as text; followed as it grows with `follow`."""
    edge, run_id = request.app[EDGE], request.match_info["id"].lower()
    part = await read_part(edge.database, run_id, Position()) if is_id(run_id) else None
    if part is None:
        raise NotFound("there is no such run")
    last_id = parse_headers(request, Seen).last
    if not parse_query(request, LogQuery).follow:
        return await _text(request, part)
    if last_id == _END:
        return web.Response(status=204)  # so that an EventSource does not come again
    return await stream(request, _messages(edge, run_id, _position(last_id)))


def _position(last_id: str) -> Position:
    return Position(*map(int, last_id.split("."))) if last_id else Position()


async def _text(request: web.Request, first: Part) -> web.StreamResponse:
    """Attempt by attempt, as there may be many."""
    response = web.StreamResponse(headers=_TEXT)
    await response.prepare(request)
    part: Part | None = first if request.method != hdrs.METH_HEAD else None
    while part is not None and part.attempt is not None:
        lines = [heading(orjson.loads(_json(part.attempt))), *map(log_line, part.lines)]
        await response.write("".join(f"{line}\n" for line in lines).encode(errors="replace"))
        part = await read_part(request.app[EDGE].database, part.run["id"], part.next) if part.is_closed else None
    return response


async def _messages(edge: Edge, run_id: str, position: Position) -> Messages:
    """What there is, then what comes, until the run is final."""
    begun = position.attempt if position.lines else 0
    told = seen = None
    while True:
        try:
            part = await read_part(edge.database, run_id, position)
        except Unavailable:  # what is said meanwhile is there when the database is
            await asyncio.sleep(AGAIN_AFTER)
            yield None
            continue
        if part is None:
            return
        for message in _news(part, told, begun):
            yield message
            if message.name == _END:
                return
        told, position = part.run, part.next
        begun = part.attempt["number"] if part.attempt else begun
        if not part.is_closed:
            while (sign := await edge.watch.look(run_id)) in (None, seen):
                yield None
            seen = sign


def _news(part: Part, told: dict[str, Any] | None, begun: int) -> Iterator[Message]:
    """`told` is what was said of the run before, `begun` the attempt of which something was said."""
    run, attempt = part.run, part.attempt
    is_final = run["state"] in FINAL
    if run != told and not is_final:
        yield Message(name="run", data=_json(run))
    if attempt is not None:
        number, place = attempt["number"], part.until
        if number != begun:
            yield Message(name="attempt", id=f"{number}.0", data=_json(attempt | _NOT_ENDED))
        if part.lines:
            yield Message(name="log", id=f"{number}.{place.lines}", data="\n".join(map(log_line, part.lines)))
        if part.is_closed:
            yield Message(name="outcome", id=f"{number + 1}.0", data=_json(attempt))
    elif is_final:
        yield Message(name=_END, id=_END, data=_json(run))


def _json(value: dict[str, Any]) -> str:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z).decode()


ROUTES = (
    Route(
        "GET",
        "/api/v1/runs/{id}/log",
        Role.VIEWER,
        show_log,
        query=LogQuery,
        headers=Seen,
        replies={200: Media(("text/plain", "text/event-stream")), 204: None},
    ),
)
