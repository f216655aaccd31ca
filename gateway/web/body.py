"""Reads the body of a request: within its size, within its time, its content encoding undone."""

import asyncio

from aiohttp import hdrs, web

from gateway.core.errors import TooLarge, Unparseable
from gateway.sources.body import decode
from gateway.web.edge import EDGE
from gateway.web.problems import TooSlow


async def read(request: web.Request) -> bytes:
    """The decoded body. Raises `TooLarge`, `TooSlow`, `Unparseable` or `UnsupportedEncoding`."""
    edge = request.app[EDGE]
    limit = edge.server.max_body
    if (request.content_length or 0) > limit:
        raise TooLarge(f"the body has more than {limit} bytes")
    try:
        raw = request.content.read_nowait() if request.content.is_eof() else None
        if raw is None:
            async with asyncio.timeout(edge.deadlines.body):
                raw = await _receive(request, limit)
    except TimeoutError as error:
        raise TooSlow(f"the body took longer than {edge.deadlines.body:g} s") from error
    except (OSError, web.RequestPayloadError) as error:
        raise Unparseable("the body is broken, or cut off") from error
    return decode(raw, ",".join(request.headers.getall(hdrs.CONTENT_ENCODING, ())) or None, limit)


async def _receive(request: web.Request, limit: int) -> bytes:
    chunks = []
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"the body has more than {limit} bytes")
        chunks.append(chunk)
    return b"".join(chunks)
