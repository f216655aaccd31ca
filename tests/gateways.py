"""Gateways to be tested: their configuration, and several of them at once."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.gateway_process import GatewayProcess
from tests.target_server import TargetServer

ROOT = Path(__file__).parent.parent
LEASE = 3.0  # seconds; the shortest there is

Settings = Mapping[str, Any]


def configuration(
    target: TargetServer,
    database_url: str,
    *,
    server: Settings | None = None,
    calls: Settings | None = None,
    trigger: Settings | None = None,
    triggers: Mapping[str, Settings] | None = None,
) -> dict[str, Any]:
    """One webhook whose events each lead to one call that names them; `calls` and `trigger` say what is different."""
    event = {"id": "{{ body.id }}", "type": "{{ body.type }}"}
    every = {"on": "hook", "target": "sync", "payload": {"id": "{{ event.data.id }}"}, **(trigger or {})}
    return {
        "server": {"lease": f"{LEASE:g}s", **(server or {})},
        "database": {"url": database_url},
        "sources": {"hook": {"kind": "webhook", "verify": {"scheme": "none"}, "event": event}},
        "targets": {"sync": {"kind": "http", "url": f"{target.url}/sync", **(calls or {})}},
        "triggers": triggers or {"every": every},
    }


def scheduled(
    target: TargetServer, database_url: str, schedules: Mapping[str, Settings], *, server: Settings | None = None
) -> dict[str, Any]:
    """The same with schedules, whose calls name schedule, instant and how many others this one stands for."""
    tick = "{{ event.data.%s }}"
    payload = {"schedule": tick % "schedule", "instant": tick % "scheduled_for", "missed": tick % "missed"}
    asked = {"target": "sync", "payload": payload}
    config = configuration(target, database_url, server=server, calls={"concurrency": 8})
    return {**config, "schedules": {name: {**asked, **schedule} for name, schedule in schedules.items()}}


def nodes_of(
    config: Settings,
    folder: Path,
    count: int = 1,
    *,
    broken: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> list[GatewayProcess]:
    """Not started yet; `broken` are the defects and failpoints that tests/faults/broken_gateway.py gives them."""
    program = ("tests.faults.broken_gateway", ",".join(broken)) if broken else ("gateway",)
    environment = {"PYTHONPATH": str(ROOT), **(env or {})}
    return [GatewayProcess(config, folder / f"node-{number}", environment, program=program) for number in range(count)]


@asynccontextmanager
async def running(*nodes: GatewayProcess) -> AsyncIterator[tuple[GatewayProcess, ...]]:
    """All started at the same moment, and killed at the end."""
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(stack.enter_async_context(node) for node in nodes))
        yield nodes
