"""The load generator: 64 kept connections, requests made and signed before the clock starts, a process of its own.

In a closed loop a connection sends as soon as it has its answer. In an open loop requests are due at fixed instants,
and latency counts from there: a server that stalls is charged for everybody it kept waiting.
"""

import asyncio
import re
import sys
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.bench import netbox
from tests.bench.programs import LOADING_CORE, on_core

CONNECTIONS = 64
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came of a load: when it began, and of each request when it was due and how long its answer took.

    All in seconds, by the monotonic clock.
    """

    began: float
    seconds: float
    due: list[float]
    latencies: list[float]

    @property
    def per_second(self) -> float:
        return len(self.due) / self.seconds


async def load(port: int, count: int, *, rate: float = 0) -> Answered:
    """Sends so many requests, so many per second, or as fast as they are answered; all must be answered 202."""
    with on_core(LOADING_CORE):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.load", str(port), str(count), str(rate)),
            cwd=Path(__file__).parents[2],
            stdout=asyncio.subprocess.PIPE,
        )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the load was not accepted")
    return Answered(**orjson.loads(output))


class _Connection(asyncio.Protocol):
    def __init__(self, generator: "_Generator") -> None:
        self._generator = generator
        self._received = b""
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, request: bytes, due: float) -> None:
        self.due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or (length and len(body) < int(length[1])):
            return
        if not (head.startswith(b"HTTP/1.1 202") and length):
            self._generator.fail(f"answered {self._received!r}")
        self._received = b""
        self._generator.answered(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._generator.fail(f"connection lost: {exc}")


class _Generator:
    def __init__(self, requests: list[bytes]) -> None:
        self._waiting = deque[tuple[bytes, float]]()
        self._requests = requests
        self._free: list[_Connection] = []
        self._done = asyncio.get_running_loop().create_future()
        self.due: list[float] = []
        self.latencies: list[float] = []

    async def connect(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", port)
            self._free.append(connection)

    async def send_all(self, rate: float) -> None:
        """Returns when everything is answered."""
        if rate:
            await self._pace(1 / rate)
        else:
            self._offer((request, 0.0) for request in self._requests)
        await self._done

    async def _pace(self, interval: float) -> None:
        first = time.monotonic()
        for number, request in enumerate(self._requests):
            due = first + number * interval
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            self._offer([(request, due)])

    def _offer(self, requests: Iterable[tuple[bytes, float]]) -> None:
        self._waiting.extend(requests)
        while self._waiting and self._free:
            self._send_next(self._free.pop())

    def _send_next(self, connection: _Connection) -> None:
        request, due = self._waiting.popleft()
        connection.send(request, due or time.monotonic())

    def answered(self, connection: _Connection) -> None:
        self.due.append(connection.due)
        self.latencies.append(time.monotonic() - connection.due)
        if self._waiting:
            self._send_next(connection)
        else:
            self._free.append(connection)
        if len(self.due) == len(self._requests) and not self._done.done():
            self._done.set_result(None)

    def fail(self, reason: str) -> None:
        if not self._done.done():
            self._done.set_exception(RuntimeError(reason))


async def _main(port: int, count: int, rate: float) -> None:
    generator = _Generator(netbox.requests(count, port))
    await generator.connect(port)
    began = time.monotonic()
    await generator.send_all(rate)
    seconds = time.monotonic() - began
    answered = {"began": began, "seconds": seconds, "due": generator.due, "latencies": generator.latencies}
    sys.stdout.buffer.write(orjson.dumps(answered))


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
