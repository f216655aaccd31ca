"""A backup while events come in."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.gateway_client import GatewayClient
from tests.gateways import configuration, nodes_of, running
from tests.target_server import TargetServer

LONGEST = 1.0  # seconds


@pytest.fixture
async def target() -> AsyncIterator[TargetServer]:
    async with TargetServer() as server:
        yield server


async def test_d02_events_are_accepted_while_a_backup_is_made(target: TargetServer, tmp_path: Path) -> None:
    """And whatever was accepted before it began is in it."""
    [node] = nodes_of(configuration(target, "sqlite:///gateway.db"), tmp_path)
    async with running(node), GatewayClient(node.url) as client:
        before = [await send(client, f"large-{number}", size=900_000) for number in range(60)]
        argv = [sys.executable, "-m", "gateway", "backup", "copy.db", "-c", str(node.config_path)]
        making = asyncio.create_task(
            asyncio.to_thread(subprocess.run, argv, cwd=node.config_path.parent, capture_output=True, timeout=60)
        )
        took: list[float] = []
        while not making.done():
            began = time.monotonic()
            await send(client, f"small-{len(took)}")
            took.append(time.monotonic() - began)
        made = await making

    assert made.returncode == 0, made.stderr
    assert len(took) > 10
    assert max(took) < LONGEST
    with closing(sqlite3.connect(node.config_path.parent / "copy.db")) as copy:
        copied = {event for (event,) in copy.execute("SELECT id FROM events")}
    assert set(before) <= copied


async def send(client: GatewayClient, name: str, *, size: int = 0) -> str:
    reply = await client.send({"id": name, "type": "sent", "text": size * "x"})
    assert reply.status == 202
    event_id: str = reply.json["event_id"]
    return event_id
