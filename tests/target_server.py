"""A real target on a port of its own: remembers every call, answers as told, counts how many calls overlap."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import orjson
from aiohttp import web
from multidict import CIMultiDictProxy

from tests.servers.ports import free_port
from tests.target_answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    at: float  # time.time() of its arrival
    method: str
    path: str  # with its query
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def idempotency_key(self) -> str | None:
        return self.headers.get("Idempotency-Key")

    @property
    def attempt(self) -> int | None:
        number = self.headers.get("X-Gateway-Attempt")
        return int(number) if number else None


_OK = Answer()


class TargetServer:
    """`script` answers the next calls, one each; `answer`, an Answer or a function of the call, answers all others.

    `key` tells which calls belong together: `lambda call: call.json["site"]`. A call that its caller gave up has ended,
    and is not among those `answered`. The port is known from the beginning and stays over stop() and start().
    """

    def __init__(
        self,
        answer: Answer | Callable[[Call], Answer] = _OK,
        *,
        key: Callable[[Call], str] | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.answer = answer
        self.script: deque[Answer] = deque()
        self.calls: list[Call] = []
        self.answered: list[Call] = []
        self.running = 0
        self.max_running = 0
        self.max_running_by_key: Counter[str] = Counter()
        self._key = key
        self._running_by_key: Counter[str] = Counter()
        self._arrival = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        """Break off what runs, and refuse connections from now on."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def wait_for_calls(self, count: int, *, seconds: float = 10) -> list[Call]:
        async with asyncio.timeout(seconds), self._arrival:
            await self._arrival.wait_for(lambda: len(self.calls) >= count)
        return self.calls

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        arrived, body = time.time(), await request.read()
        call = Call(at=arrived, method=request.method, path=request.path_qs, headers=request.headers, body=body)
        with self._counted(self._key(call) if self._key else ""):
            async with self._arrival:
                self.calls.append(call)
                self._arrival.notify_all()
            response = await self._answer_to(call).send(request)
            self.answered.append(call)
            return response

    def _answer_to(self, call: Call) -> Answer:
        if self.script:
            return self.script.popleft()
        return self.answer(call) if callable(self.answer) else self.answer

    @contextmanager
    def _counted(self, key: str) -> Iterator[None]:
        self.running += 1
        self._running_by_key[key] += 1
        self.max_running = max(self.max_running, self.running)
        self.max_running_by_key[key] = max(self.max_running_by_key[key], self._running_by_key[key])
        try:
            yield
        finally:
            self.running -= 1
            self._running_by_key[key] -= 1
