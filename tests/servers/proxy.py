"""A TCP proxy that breaks connections in the ways a network does."""

import asyncio
import socket
import struct
from typing import Literal, Self

from tests.servers.ports import free_port

Mode = Literal["pass", "blackhole", "up_only", "cut", "refuse"]

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Passes bytes on to 127.0.0.1:target_port, which may become another one for new connections.

    switch() changes how, for open and new connections alike:

    pass       everything, also what was held before
    blackhole  nothing arrives in either direction, not even the end of a connection
    up_only    what the client sends arrives, what the server answers does not
    cut        open connections are reset, new ones are accepted and reset
    refuse     open connections are reset, new ones are refused
    """

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        self.mode: Mode = "refuse"
        self.target_port = target_port
        self._up, self._down = asyncio.Event(), asyncio.Event()
        self._listener: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.switch("pass")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.switch("refuse")

    async def switch(self, mode: Mode) -> None:
        self.mode = mode
        _set(self._up, is_open=mode in ("pass", "up_only"))
        _set(self._down, is_open=mode == "pass")
        if mode in ("cut", "refuse"):
            await self._reset_all()
        if mode == "refuse" and self._listener:
            self._listener.close()
            self._listener = None
        elif mode != "refuse" and not self._listener:
            self._listener = await asyncio.start_server(self._connect, "127.0.0.1", self.port)

    async def _reset_all(self) -> None:
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode in ("cut", "refuse"):
            _reset(writer)
            return
        connection = asyncio.create_task(self._carry(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _carry(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        ends = [client]
        try:
            server_reader, server = await asyncio.open_connection("127.0.0.1", self.target_port)
            ends.append(server)
            async with asyncio.TaskGroup() as directions:
                directions.create_task(_pump(client_reader, server, self._up))
                directions.create_task(_pump(server_reader, client, self._down))
        except* OSError:
            pass  # one end broke off: so does the other, below
        else:
            for end in ends:
                end.close()
        finally:
            for end in ends:
                if not end.is_closing():
                    _reset(end)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event) -> None:
    while data := await reader.read(65_536):
        await gate.wait()
        writer.write(data)
        await writer.drain()
    await gate.wait()
    writer.write_eof()


def _set(gate: asyncio.Event, *, is_open: bool) -> None:
    if is_open:
        gate.set()
    else:
        gate.clear()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close it in a way that the peer sees as a reset, not as an orderly end."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
