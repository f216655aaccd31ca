"""Calls a target as the gateway does: renders, performs within a deadline, keeps what it logs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from gateway.core.outcome import Outcome
from gateway.core.progress import Progress
from gateway.core.template import clock
from gateway.targets import KINDS
from gateway.targets.base import Target

NOW = datetime(2027, 1, 15, 22, tzinfo=UTC)
PAYLOAD = {"site": "ams", "device": {"id": 7}}


@dataclass(kw_only=True)
class Attempt:
    """What the gateway lends to a target."""

    run_id: str = "0198c0de-0000-7000-8000-000000000001"
    number: int = 1
    traceparent: str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    context: Mapping[str, Any] = field(default_factory=dict)
    payload_bytes: bytes = b""
    at_once: bool = False
    cancelling: bool = False
    handle: Mapping[str, Any] | None = None
    following: bool = False
    lines: list[str] = field(default_factory=list)
    told: list[Progress] = field(default_factory=list)

    def log(self, text: str) -> None:
        self.lines.append(text)

    def progress(self, progress: Progress) -> None:
        self.told.append(progress)

    async def checkpoint(self, handle: Mapping[str, Any]) -> None:
        self.handle, self.following = handle, True


def attempt(payload: Any = PAYLOAD, **changes: Any) -> Attempt:
    made = Attempt(payload_bytes=orjson.dumps(payload), **changes)
    event = {"id": "e1", "type": "netbox.dcim.device.updated", "data": {"name": "sw-1"}}
    run = {"id": made.run_id, "attempt": made.number, "target": "sync"}
    made.context = {"event": event, "events": [event], "payload": payload, "run": run, "now": clock(NOW)}
    return made


def configured(kind: str = "http", **keys: Any) -> Any:
    return KINDS[kind].model_validate({"kind": kind, **keys})


async def call(target: Target, given: Attempt | None = None, *, seconds: float = 10) -> Outcome:
    """What comes of one attempt; a target that hangs fails the test."""
    given = given or attempt()
    async with asyncio.timeout(seconds):
        return await target.perform(target.render(given.context), given)


async def outcome_of(given: Attempt | None = None, **keys: Any) -> Outcome:
    """What comes of one attempt with a target that is opened for it alone."""
    async with configured(**keys).open() as target:
        return await call(target, given)


@asynccontextmanager
async def raw_server(answer: bytes | Callable[[int], bytes], *, stay: bool = False) -> AsyncIterator[str]:
    """Its address: it answers every request with these bytes, whatever they are, and hangs up unless told to stay."""
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read(65536)
        writer.write(answer(connections) if callable(answer) else answer)
        try:
            await writer.drain()
            await asyncio.sleep(3600 if stay else 0)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
