"""RabbitMQ, and the way there, break in every way: what was confirmed is done, once, and the gateway stays up."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pamqp.common import FieldTable

from tests.faults.disk import small_disk
from tests.faults.failpoints import DIED
from tests.faults.ledger import Ledger
from tests.faults.publishing import Publishing, channel_to, consuming, publish, waiting_in
from tests.gateway_client import GatewayClient
from tests.gateway_process import GatewayProcess
from tests.gateways import nodes_of, running
from tests.servers.proxy import Mode, Proxy
from tests.servers.rabbitmq import RabbitMQ
from tests.target_answer import Answer
from tests.target_server import TargetServer
from tests.waiting import until

SQLITE = "sqlite:///gateway.db"
IN_FLIGHT = 8


@pytest.fixture
def queue() -> str:
    return f"gateway.{uuid4().hex}"


@pytest.fixture
async def proxy(rabbitmq: RabbitMQ) -> AsyncIterator[Proxy]:
    async with Proxy(rabbitmq.port) as between:
        yield between


def through(proxy: Proxy) -> str:
    return f"amqp://guest:guest@127.0.0.1:{proxy.port}/?heartbeat=1"


async def state(client: GatewayClient, source: str = "hook") -> str:
    """Of a source; that the broker is away never makes a node unready."""
    reply = await client.request("GET", "/readyz")
    assert reply.status == 200, reply
    return str(reply.json[f"sources.{source}"])


async def consumes(client: GatewayClient, *, seconds: float = 20) -> None:
    await until(partial(state, client), "ok", "state of the source", seconds=seconds)


async def does_not_consume(client: GatewayClient, *, seconds: float = 20) -> None:
    async def degraded() -> bool:
        return (await state(client)).startswith("degraded: ")

    await until(degraded, True, "the source is degraded", seconds=seconds)


def logged(node: GatewayProcess, event: str) -> int:
    return sum(line["event"] == event for line in node.log_lines())


@pytest.mark.parametrize("properties", [{"message_id": "only"}, {}], ids=["id", "no id"])
async def test_c03_killed_between_commit_and_acknowledgement(
    tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, queue: str, properties: dict[str, Any]
) -> None:
    """It comes again, and is known: one event, delivered twice, and one run."""
    config = consuming(target, f"sqlite:///{tmp_path}/gateway.db", rabbitmq.url, queue)
    [doomed] = nodes_of(config, tmp_path / "doomed", broken=["die:consume.committed"])
    async with running(doomed), GatewayClient(doomed.url) as client, channel_to(rabbitmq.url) as channel:
        await consumes(client)
        await publish(channel, queue, b'{"id": "only"}', **properties)
        assert await doomed.wait() == DIED

    [healthy] = nodes_of(config, tmp_path / "healthy")
    async with running(healthy), GatewayClient(healthy.url) as client:

        async def deliveries() -> list[int]:
            return [event["deliveries"] for event in (await client.get("events"))["items"]]

        await until(deliveries, [2], "deliveries of each event")
        await client.wait_until_idle()
        assert len(await client.runs()) == 1
    assert len(target.answered) == 1
    assert await waiting_in(rabbitmq.url, queue) == 0


async def test_q01_the_broker_is_killed(tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, queue: str) -> None:
    [node] = nodes_of(consuming(target, SQLITE, rabbitmq.url, queue), tmp_path)
    async with running(node), GatewayClient(node.url) as client:
        await consumes(client)
        async with Publishing(rabbitmq.url, queue) as published:
            await target.wait_for_calls(100)  # by then the broker has written down that there is such a queue
            await asyncio.to_thread(rabbitmq.kill)
            await does_not_consume(client)
            await asyncio.to_thread(rabbitmq.start)
            await target.wait_for_calls(len(target.calls) + 20, seconds=20)
        await until(partial(waiting_in, rabbitmq.url, queue), 0, "messages in the queue")
        await Ledger(published.confirmed, target).check(client, repeatable=0)


@pytest.mark.parametrize("mode", ["cut", "blackhole"])
async def test_q02_q03_the_connection_breaks(  # noqa: PLR0917 - fixtures
    tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, proxy: Proxy, queue: str, mode: Mode
) -> None:
    """Or nothing comes through it any more, which the heartbeats tell."""
    [node] = nodes_of(consuming(target, SQLITE, through(proxy), queue), tmp_path)
    async with running(node), GatewayClient(node.url) as client:
        await consumes(client)
        async with Publishing(rabbitmq.url, queue) as published:
            await target.wait_for_calls(20)
            await proxy.switch(mode)
            await does_not_consume(client)
            await proxy.switch("pass")
            await target.wait_for_calls(len(target.calls) + 20, seconds=20)
        await until(partial(waiting_in, rabbitmq.url, queue), 0, "messages in the queue")
        await Ledger(published.confirmed, target).check(client, repeatable=0)
        assert logged(node, "source.failed") == 0


async def test_q04_a_silent_connection_keeps_nobody_from_stopping(
    tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, proxy: Proxy, queue: str
) -> None:
    url = f"amqp://guest:guest@127.0.0.1:{proxy.port}/?heartbeat=60"
    [node] = nodes_of(consuming(target, SQLITE, url, queue), tmp_path)
    async with running(node), GatewayClient(node.url) as client:
        await consumes(client)
        await proxy.switch("blackhole")

        assert await node.terminate(seconds=10) == 0
        assert logged(node, "gateway.stopped") == 1


async def test_the_broker_is_away_at_the_start(
    tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, proxy: Proxy, queue: str
) -> None:
    """The gateway is up without it."""
    await proxy.switch("refuse")
    [node] = nodes_of(consuming(target, SQLITE, through(proxy), queue), tmp_path)
    async with running(node), GatewayClient(node.url) as client:
        await does_not_consume(client)
        await proxy.switch("pass")
        await consumes(client)


async def test_q05_an_exchange_that_is_missing_stops_one_source_alone(
    tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, queue: str
) -> None:
    binding = {"exchange": f"{queue}.exchange", "routing_key": "node.#"}
    config = consuming(target, SQLITE, rabbitmq.url, queue)
    config["sources"]["bound"] = {**config["sources"]["hook"], "queue": f"{queue}.bound", "bindings": [binding]}
    config["triggers"]["bound"] = {**config["triggers"]["every"], "on": "bound"}
    [node] = nodes_of(config, tmp_path)
    async with running(node), GatewayClient(node.url) as client, channel_to(rabbitmq.url) as channel:
        await consumes(client)
        await until(partial(_says, client, "bound", "no exchange"), True, "the exchange is missing")
        await publish(channel, queue, b'{"id": "neighbour"}')
        await target.wait_for_calls(1)

        exchange = await channel.declare_exchange(binding["exchange"], "topic", durable=True)
        await until(partial(state, client, "bound"), "ok", "state of the source")
        await publish(channel, f"{queue}.bound", b'{"id": "bound"}')
        await target.wait_for_calls(2)
        await exchange.delete()


async def _says(client: GatewayClient, source: str, words: str) -> bool:
    return words in await state(client, source)


@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_q06_poison_is_parked_and_its_neighbours_are_done(
    tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, queue: str, kind: str
) -> None:
    """Each is on record with its reason and what was in it, and none comes again."""
    poison = [b"", b"{", b"\xff", b"[" * 100, b'"\\u0000"', b"x" * 2 * 2**20]
    config = consuming(target, SQLITE, rabbitmq.url, queue, declare=False, event={"id": "{{ body.id }}"})
    [node] = nodes_of(config, tmp_path)
    async with channel_to(rabbitmq.url) as channel:
        await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": kind})
        for number, body in enumerate(poison):
            await publish(channel, queue, body)
            await publish(channel, queue, b'{"id": "%d"}' % number)
        async with running(node), GatewayClient(node.url) as client:
            await target.wait_for_calls(len(poison))
            await client.wait_until_idle()
            parked = [one for one in (await client.get("events"))["items"] if one["type"] == "gateway.rejected"]

            assert len(parked) == len(poison) == logged(node, "source.rejected")
            assert all(one["decisions"][0]["decision"] == "error" for one in parked)
            assert all(one["decisions"][0]["reason"] for one in parked)
            assert {event["data"]["body"] for event in parked} >= {"", "{", "/w==", "x" * 2 * 2**20}
        assert sorted(call.json["id"] for call in target.calls) == [str(number) for number in range(len(poison))]
        assert await waiting_in(rabbitmq.url, queue) == 0


@pytest.fixture
def headers() -> Iterator[dict[str, Any]]:
    """Too deep for whoever reads them with the usual limit of recursion."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    table: dict[str, Any] = {}
    for _ in range(usual):
        table = {"a": table}
    yield table
    sys.setrecursionlimit(usual)


async def test_q07_q08_s17_a_message_that_breaks_its_consumer_becomes_a_dead_letter_alone(
    tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, queue: str, headers: dict[str, Any]
) -> None:
    """Headers so deep that the library gives up the connection, again and again, until the broker's limit."""
    config = consuming(target, SQLITE, rabbitmq.url, queue, declare=False, event={"id": "{{ body.id }}"})
    arguments: FieldTable = {
        "x-queue-type": "quorum",
        "x-delivery-limit": 3,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": f"{queue}.dead",
    }
    [node] = nodes_of(config, tmp_path)
    async with channel_to(rabbitmq.url) as channel:
        dead = await channel.declare_queue(f"{queue}.dead", durable=True)
        await channel.declare_queue(queue, durable=True, arguments=arguments)
        for number in range(40):
            if number == 20:
                await publish(channel, queue, b'{"id": "poison"}', headers=headers)
            await publish(channel, queue, b'{"id": "%d"}' % number)
        async with running(node), GatewayClient(node.url) as client:
            await target.wait_for_calls(40, seconds=30)
            await until(partial(waiting_in, rabbitmq.url, f"{queue}.dead"), 1, "dead letters", seconds=30)
            await client.wait_until_idle()
        assert sorted(int(call.json["id"]) for call in target.answered) == list(range(40))
        letter = await dead.get(timeout=5)
        assert letter.body == b'{"id": "poison"}'


async def test_q09_a_message_is_not_held_while_its_run_goes_on(
    tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, queue: str
) -> None:
    """A run may take longer than the broker waits for an acknowledgement."""
    target.answer = Answer(delay=30)
    [node] = nodes_of(consuming(target, SQLITE, rabbitmq.url, queue), tmp_path)
    async with running(node), GatewayClient(node.url) as client, channel_to(rabbitmq.url) as channel:
        await consumes(client)
        await publish(channel, queue, b'{"id": "long"}')
        await target.wait_for_calls(1)
        node.kill()

        await asyncio.sleep(0.3)
        assert await waiting_in(rabbitmq.url, queue) == 0


async def test_q10_the_queue_is_deleted_or_declared_otherwise(
    tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, queue: str
) -> None:
    """It is declared again; one that is another queue by then is left alone, and said."""
    [node] = nodes_of(consuming(target, SQLITE, rabbitmq.url, queue), tmp_path)
    async with running(node), GatewayClient(node.url) as client:
        await consumes(client)
        async with channel_to(rabbitmq.url) as channel:
            await channel.queue_delete(queue)
            await until(partial(logged_consuming, node), 2, "sessions")
            await publish(channel, queue, b'{"id": "1"}')
            await target.wait_for_calls(1)

            await channel.queue_delete(queue)
            await channel.declare_queue(queue, durable=False)
            await until(partial(_says, client, "hook", "PRECONDITION_FAILED"), True, "the reason")
            await channel.queue_delete(queue)
        await consumes(client)


async def logged_consuming(node: GatewayProcess) -> int:
    return logged(node, "source.consuming")


async def test_q11_the_broker_is_out_of_memory(
    tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, queue: str
) -> None:
    """Publishers are blocked, and what is in the queue is consumed."""
    config = consuming(target, SQLITE, rabbitmq.url, queue)
    [node] = nodes_of(config, tmp_path)
    async with GatewayClient(node.url) as client:
        async with running(node):
            await consumes(client)
        async with channel_to(rabbitmq.url) as channel:
            for number in range(50):
                await publish(channel, queue, b'{"id": "%d"}' % number)
        await asyncio.to_thread(rabbitmq.control, "set_vm_memory_high_watermark", "0.0001")
        try:
            async with running(node):
                await target.wait_for_calls(50)
                await client.wait_until_idle()
                await node.terminate()
        finally:
            await asyncio.to_thread(rabbitmq.control, "set_vm_memory_high_watermark", "0.4")
    assert await waiting_in(rabbitmq.url, queue) == 0
    assert len(target.calls) == 50


async def test_q12_stopped_and_started_under_load(
    tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, queue: str
) -> None:
    """What has arrived is acknowledged before the channel is closed, so nothing is delivered twice."""
    [node] = nodes_of(consuming(target, SQLITE, rabbitmq.url, queue), tmp_path)
    async with running(node), GatewayClient(node.url) as client:
        await consumes(client)
        async with Publishing(rabbitmq.url, queue) as published:
            for _ in range(2):
                await target.wait_for_calls(len(target.calls) + 20)
                assert await node.terminate() == 0
                await node.start()
        await until(partial(waiting_in, rabbitmq.url, queue), 0, "messages in the queue")
        await Ledger(published.confirmed, target).check(client, repeatable=0)
        events = [await client.get("events", limit=1000)]
        assert {event["deliveries"] for page in events for event in page["items"]} == {1}
        assert logged(node, "source.degraded") == 0


async def test_d03_nothing_is_acknowledged_while_the_disk_is_full(
    tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, queue: str
) -> None:
    """It is held, tried again at leisure, and done when there is room."""
    with small_disk(tmp_path / "disk", size="8m") as small:
        [node] = nodes_of(consuming(target, f"sqlite:///{small.folder}/gateway.db", rabbitmq.url, queue), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            await consumes(client)
            async with Publishing(rabbitmq.url, queue) as published:
                await target.wait_for_calls(20)
                small.fill()
                await asyncio.sleep(1.5)
                assert 1 <= logged(node, "source.waits") <= 3
                small.clear()
                await target.wait_for_calls(len(target.calls) + 20)
            await until(partial(waiting_in, rabbitmq.url, queue), 0, "messages in the queue")
            await Ledger(published.confirmed, target).check(client, repeatable=IN_FLIGHT)


async def test_killed_under_load_while_several_nodes_consume(
    tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, queue: str, postgres_url: str
) -> None:
    nodes = nodes_of(consuming(target, postgres_url, rabbitmq.url, queue), tmp_path, 2)
    kills = 2
    async with running(*nodes), GatewayClient(nodes[0].url) as client:
        await consumes(client)
        async with Publishing(rabbitmq.url, queue) as published:
            for number in range(kills):
                await target.wait_for_calls(len(target.calls) + 20, seconds=15)
                nodes[number % 2].kill()
                await nodes[number % 2].start()
        await until(partial(waiting_in, rabbitmq.url, queue), 0, "messages in the queue")
        await Ledger(published.confirmed, target).check(client, repeatable=kills * IN_FLIGHT)
