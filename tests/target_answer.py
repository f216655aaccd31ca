"""What a test target answers, and how it breaks off."""

import asyncio
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import orjson
from aiohttp import web

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """After `delay` seconds, the body; one in parts is streamed, with numbers for seconds to wait.

    With `reset` the connection breaks: at once if there is no body, else in the middle of it, after all that is given.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | tuple[bytes | float, ...] = b""
    delay: float = 0
    reset: bool = False

    @classmethod
    def of_json(cls, value: object, *, status: int = 200, delay: float = 0) -> Self:
        headers = {"Content-Type": "application/json"}
        return cls(status=status, headers=headers, body=orjson.dumps(value), delay=delay)

    async def send(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(self.delay)
        if isinstance(self.body, bytes) and not self.reset:
            return web.Response(status=self.status, headers=self.headers, body=self.body)
        response = web.StreamResponse(status=self.status, headers=self.headers)
        if self.body:
            await _stream(self.body, response, request)
        if self.reset:
            _reset(request)
        return response


async def _stream(
    body: bytes | tuple[bytes | float, ...],
    response: web.StreamResponse,
    request: web.Request,
) -> None:
    if isinstance(body, bytes):
        response.content_length = len(body) + 1  # more than will come
        body = (body, 0.05)  # time to read it before the break
    await response.prepare(request)
    for part in body:
        if isinstance(part, bytes):
            await response.write(part)
        else:
            await asyncio.sleep(part)


def _reset(request: web.Request) -> None:
    transport = request.transport
    if transport:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
