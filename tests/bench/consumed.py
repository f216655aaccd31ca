"""Messages per second from a quorum queue: committed and acknowledged, as a part of what is merely acknowledged.

Both drain a queue that was filled before, with the same prefetch. The runs that follow belong to a target of another
node, so that nothing but consuming is measured.
"""

import asyncio
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

from aio_pika import DeliveryMode, Message, connect

from tests.bench import netbox
from tests.bench.programs import LOADING_CORE, MEASURED_CORE, gateway, on_core
from tests.bench.table import Figure, Round
from tests.servers.rabbitmq import RabbitMQ

ROUNDS = 3
MESSAGES = 4_000
PREFETCH = 200
IN_FLIGHT = 200  # of the publisher
LOOK_EVERY = 0.01
MICROSECONDS = 1_000_000
STORED = "SELECT count(*), min(received_at) FROM events"


async def measure(folder: Path, profile: Path | None) -> list[Figure]:
    with closing(RabbitMQ()) as broker:
        with on_core(LOADING_CORE):
            await asyncio.to_thread(broker.start)
        rounds = [await _round(broker.url, folder / f"consumed-{number}", profile) for number in range(ROUNDS)]
    return [Figure(name="consumed", unit="/s", rounds=rounds, goal=0.5, at_least=True)]


async def _round(url: str, folder: Path, profile: Path | None) -> Round:
    compared = await _acknowledged(url, await _filled(url))
    return Round(measured=await _consumed(url, await _filled(url), folder, profile), bare=compared)


async def _filled(url: str) -> str:
    """A new queue of messages of 1 KiB, each under an id of its own."""
    queue = f"bench.{uuid4().hex}"
    async with await connect(url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})
        room = asyncio.Semaphore(IN_FLIGHT)

        async def publish(body: bytes) -> None:
            async with room:
                message = Message(body, message_id=uuid4().hex, delivery_mode=DeliveryMode.PERSISTENT)
                await channel.default_exchange.publish(message, queue)

        await asyncio.gather(*(publish(netbox.body()) for _ in range(MESSAGES)))
    return queue


async def _acknowledged(url: str, queue: str) -> float:
    program = Path(__file__).with_name("bare_consumer.py")
    with on_core(MEASURED_CORE):
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(program), url, queue, str(PREFETCH), str(MESSAGES), stdout=asyncio.subprocess.PIPE
        )
    output, _ = await process.communicate()
    return MESSAGES / float(output)


async def _consumed(url: str, queue: str, folder: Path, profile: Path | None) -> float:
    database = folder.with_suffix(".db")
    async with gateway(_configuration(f"sqlite:///{database}", url, queue), folder, profile):
        stored, began = 0, 0.0
        while stored < MESSAGES:
            await asyncio.sleep(LOOK_EVERY)
            stored, began = _stored(database)
        return MESSAGES / (time.time() - began)


def _stored(database: Path) -> tuple[int, float]:
    """How many there are, and when the first of them came."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        count, first = connection.execute(STORED).fetchone()
        return count, (first or 0) / MICROSECONDS


def _configuration(database: str, url: str, queue: str) -> dict[str, Any]:
    config = netbox.configuration(database, {"url": "http://127.0.0.1:9/", "nodes": ["elsewhere"]})
    source = {"kind": "amqp", "url": url, "queue": queue, "declare": False, "prefetch": PREFETCH}
    event = {
        "type": "netbox.{{ body.object_type }}.{{ body.event }}",
        "object": "{{ body.data }}",
        "changed": "{{ changed(body.snapshots.prechange, body.snapshots.postchange) }}",
    }
    return {**config, "sources": {"netbox": {**source, "event": event}}}
