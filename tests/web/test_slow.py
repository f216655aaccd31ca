"""Clients that keep the gateway waiting are sent away, and the others do not notice (S06)."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest

from gateway.web.edge import Deadlines
from tests.web.edges import OPEN, Gateway, running

QUICK = Deadlines(head=0.3, body=0.3, reader=0.3, linger=0.1)
HEAD = b"POST /hooks/alarms HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture
async def impatient(tmp_path: Path) -> AsyncIterator[Gateway]:
    settings = {
        "sources": {"alarms": OPEN | {"body": "text"}},
        "targets": {"sync": {"kind": "http", "url": "http://a"}},
    }
    async with running(tmp_path, settings, deadlines=QUICK) as gateway:
        yield gateway


async def _drip(gateway: Gateway, start: bytes, drop: bytes) -> tuple[float, bytes]:
    """How long the gateway puts up with it, and what it says at the end."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    answer = bytearray()
    listening = asyncio.create_task(_listen(reader, answer))
    writer.write(start)
    while not listening.done() and time.monotonic() < began + 5:
        writer.write(drop)
        await asyncio.wait([listening], timeout=0.02)
    listening.cancel()
    writer.transport.abort()
    return time.monotonic() - began, bytes(answer)


async def _listen(reader: asyncio.StreamReader, heard: bytearray) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(1000):
            heard += piece


@pytest.mark.parametrize(
    ("start", "drop", "status"),
    [
        (b"", b"", b""),
        (HEAD + b"X-A", b"", b""),
        (HEAD + b"X-A: ", b"x", b""),
        (b"", b"\r\n", b""),
        (HEAD + b"Content-Length: 1000\r\n\r\n", b"x", b"HTTP/1.1 408 "),
        (HEAD + b"Content-Length: 1000\r\n\r\n", b"", b"HTTP/1.1 408 "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", b"HTTP/1.1 408 "),
        (HEAD.replace(b"alarms", b"nothing") + b"Content-Length: 1000\r\n\r\n", b"x", b"HTTP/1.1 404 "),
    ],
    ids=[
        "idle",
        "half a head",
        "dripped head",
        "empty lines",
        "dripped body",
        "no body",
        "dripped chunks",
        "unwanted body",
    ],
)
async def test_s06_who_is_slow_is_sent_away(impatient: Gateway, start: bytes, drop: bytes, status: bytes) -> None:
    seconds, answer = await _drip(impatient, start, drop)

    assert seconds < 2
    assert answer.startswith(status)


async def test_s06_a_connection_is_kept_between_requests_only_so_long(impatient: Gateway) -> None:
    request = HEAD + b"Content-Length: 2\r\n\r\n{}"

    began = time.monotonic()
    answer = await impatient.raw(request + request)

    assert answer.count(b"HTTP/1.1 202 ") == 2
    assert 0.2 < time.monotonic() - began < 1


@pytest.mark.parametrize("per_request", [2_000, 500_000], ids=["small answers", "big answers"])
async def test_s06_who_does_not_read_is_sent_away(impatient: Gateway, per_request: int) -> None:
    """Its requests stop being served, what waits for it is let go, and that does not take long."""
    await impatient.post("/hooks/alarms", data=BytesIO(b"x" * per_request))
    [event] = (await impatient.get("/api/v1/events")).json["items"]
    wanted = f"GET /api/v1/events/{event['id']} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    reader = _socket_that_takes_little(impatient.port)
    loop = asyncio.get_running_loop()

    async def ask_for_ever() -> None:
        while True:
            await loop.sock_sendall(reader, wanted * 100)
            await asyncio.sleep(0.01)

    async with asyncio.timeout(8):
        with pytest.raises(ConnectionError):
            await ask_for_ever()
    reader.close()

    async with asyncio.timeout(1):
        assert (await impatient.get("/healthz")).status == 200


async def test_s06_who_reads_slowly_but_steadily_gets_everything(impatient: Gateway) -> None:
    body = b"x" * 900_000
    await impatient.post("/hooks/alarms", data=BytesIO(body))
    [event] = (await impatient.get("/api/v1/events")).json["items"]
    wanted = f"GET /api/v1/events/{event['id']} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    reader = _socket_that_takes_little(impatient.port, 64 * 1024)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(reader, wanted * 3)

    began = time.monotonic()
    received = 0
    while received < 3 * len(body):
        piece = await loop.sock_recv(reader, 50_000)
        assert piece, f"broken off after {received} bytes"
        received += len(piece)
        await asyncio.sleep(0.015)
    reader.close()

    assert time.monotonic() - began > 2 * QUICK.reader


async def test_s06_the_others_are_served_meanwhile(impatient: Gateway) -> None:
    slow = [asyncio.create_task(_drip(impatient, HEAD + b"X-A: ", b"x")) for _ in range(100)]
    await asyncio.sleep(0.05)
    waits = []
    for _ in range(20):
        began = time.monotonic()
        assert (await impatient.post("/hooks/alarms", data=b"x")).status == 202
        waits.append(time.monotonic() - began)
    ended = await asyncio.gather(*slow)

    assert max(waits) < 0.5
    assert max(seconds for seconds, _ in ended) < 3


def _socket_that_takes_little(port: int, buffer: int = 4096) -> socket.socket:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    one.connect(("127.0.0.1", port))
    one.setblocking(False)
    return one
