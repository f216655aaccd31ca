"""Queues of a real broker: what is declared, how it is reached, and who consumes."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import orjson
import pytest
import yaml

from tests.desk import Desk
from tests.faults.publishing import channel_to, consuming, publish, waiting_in
from tests.gateway_client import GatewayClient
from tests.gateways import ROOT, nodes_of, running
from tests.servers.certificate import new_certificate
from tests.servers.ports import free_port
from tests.servers.rabbitmq import RabbitMQ
from tests.target_server import TargetServer
from tests.waiting import until

SQLITE = "sqlite:///gateway.db"


@pytest.fixture
def queue() -> str:
    return f"gateway.{uuid4().hex}"


@pytest.fixture
async def target() -> AsyncIterator[TargetServer]:
    async with TargetServer() as server:
        yield server


async def state(client: GatewayClient, source: str = "hook") -> str | None:
    parts: dict[str, str] = (await client.request("GET", "/readyz")).json
    return parts.get(f"sources.{source}")


async def consumes(client: GatewayClient, source: str = "hook") -> None:
    expected: str | None = "ok"
    await until(partial(state, client, source), expected, "state of the source")


def connections(rabbitmq: RabbitMQ) -> int:
    return rabbitmq.control("list_connections", "client_properties").count("trigger-gateway")


async def test_a_queue_is_declared_with_its_bindings_and_dead_letters(
    tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, queue: str
) -> None:
    async with channel_to(rabbitmq.url) as channel:
        exchange = await channel.declare_exchange(f"{queue}.events", "topic", durable=True)
        binding = {"exchange": exchange.name, "routing_key": "node.#"}
        [node] = nodes_of(consuming(target, SQLITE, rabbitmq.url, queue, bindings=[binding]), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            await consumes(client)
            await publish(channel, queue, b'{"id": "direct"}')
            await publish(channel, "node.created", b'{"id": "bound"}', exchange=exchange)
            await target.wait_for_calls(2)
            types = [event["type"] for event in (await client.get("events"))["items"]]

            assert sorted(types) == sorted([queue, "node.created"])
            assert await waiting_in(rabbitmq.url, f"{queue}.dead-letters") == 0
        listed = await asyncio.to_thread(rabbitmq.control, "list_queues", "name", "type", "durable", "arguments")
        [declared] = [line for line in listed.splitlines() if line.startswith(f"{queue}\t")]
        assert declared.startswith(f"{queue}\tquorum\ttrue")
        assert f'"{queue}.dead-letters"' in declared


async def test_messages_without_id_are_told_apart_unless_they_are_redelivered(
    tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, queue: str
) -> None:
    """Two that are the same in everything are two; one that was committed and comes again is one."""
    [node] = nodes_of(consuming(target, SQLITE, rabbitmq.url, queue), tmp_path)
    async with running(node), GatewayClient(node.url) as client, channel_to(rabbitmq.url) as channel:
        await consumes(client)
        for _ in range(2):
            await publish(channel, queue, b'{"id": "same"}')
        await target.wait_for_calls(2)
        await publish(channel, queue, b'{"id": "known"}', message_id="1")
        await publish(channel, queue, b'{"id": "known"}', message_id="1")
        await publish(channel, queue, b'{"id": "last"}')
        await target.wait_for_calls(4)
        await client.wait_until_idle()

        assert [call.json["id"] for call in target.calls].count("known") == 1


async def test_a_cloud_event_that_comes_both_ways_is_one(
    tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, queue: str
) -> None:
    """By webhook and by message, in whichever form and order, where both sources share their memory."""
    dedup = {"scope": "inventory"}
    config = consuming(target, SQLITE, rabbitmq.url, queue, dedup=dedup)
    config["sources"]["events"] = {"preset": "cloudevents", "verify": {"scheme": "none"}, "dedup": dedup}
    config["triggers"] = {
        "every": {"on": ["hook", "events"], "target": "sync", "payload": {"id": "{{ event.sender_id }}"}}
    }
    [node] = nodes_of(config, tmp_path)
    async with running(node), GatewayClient(node.url) as client, channel_to(rabbitmq.url) as channel:
        await consumes(client)

        async def by_message(number: int) -> None:
            attributes = {f"cloudEvents:{name}": value for name, value in cloud_event(number).items()}
            await publish(channel, queue, b'{"a": 1}', headers=attributes, content_type="application/json")

        async def by_webhook(number: int) -> None:
            body = orjson.dumps(cloud_event(number) | {"data": {"a": 1}})
            await client.send(body, path="/hooks/events", **{"Content-Type": "application/cloudevents+json"})

        async def deliveries() -> list[int]:
            return [event["deliveries"] for event in (await client.get("events"))["items"]]

        await by_webhook(1)
        await by_message(1)
        await until(deliveries, [2], "deliveries")
        await by_message(2)
        await until(deliveries, [1, 2], "deliveries")
        await by_webhook(2)
        await client.wait_until_idle()

        assert await deliveries() == [2, 2]
        assert sorted(call.json["id"] for call in target.calls) == ["/inventory 1", "/inventory 2"]


def cloud_event(number: int) -> dict[str, str]:
    return {"specversion": "1.0", "id": str(number), "source": "/inventory", "type": "node.updated"}


async def test_sources_of_one_broker_share_a_connection_and_follow_the_configuration(
    tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, queue: str
) -> None:
    config = consuming(target, SQLITE, rabbitmq.url, queue)
    config["sources"]["other"] = {**config["sources"]["hook"], "queue": f"{queue}.other"}
    [node] = nodes_of(config, tmp_path)
    async with running(node), GatewayClient(node.url) as client:
        await consumes(client)
        await consumes(client, "other")
        assert await asyncio.to_thread(connections, rabbitmq) == 1

        written = yaml.safe_load(node.config_path.read_text())
        del written["sources"]["other"]
        written["sources"]["third"] = {**written["sources"]["hook"], "queue": f"{queue}.third"}
        node.config_path.write_text(yaml.safe_dump(written))
        await client.request("POST", "/api/v1/reload")
        await consumes(client, "third")

        assert await state(client, "other") is None
        started = [line["source"] for line in node.log_lines() if line["event"] == "source.consuming"]
        assert sorted(started) == ["hook", "other", "third"]


async def test_one_active_consumer_at_a_time(
    tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, queue: str
) -> None:
    config = consuming(target, SQLITE, rabbitmq.url, queue, single_active_consumer=True)
    nodes = nodes_of(config, tmp_path, 2)
    async with running(*nodes), GatewayClient(nodes[0].url) as one, GatewayClient(nodes[1].url) as other:
        await consumes(one)
        await consumes(other)
        async with channel_to(rabbitmq.url) as channel:
            for number in range(10):
                await publish(channel, queue, b'{"id": "%d"}' % number)
        await target.wait_for_calls(10)

        assert sorted([len(await one.runs()), len(await other.runs())]) == [0, 10]


async def test_a_virtual_host_and_wrong_credentials(
    tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, queue: str
) -> None:
    """What is wrong is said, without the password."""
    await asyncio.to_thread(rabbitmq.control, "add_vhost", "net/work")
    await asyncio.to_thread(rabbitmq.control, "set_permissions", "-p", "net/work", "guest", ".*", ".*", ".*")
    url = rabbitmq.url + quote("net/work", safe="")
    config = consuming(target, SQLITE, url, queue)
    config["sources"]["stranger"] = {**config["sources"]["hook"], "url": url.replace(":guest@", ":wrong-password@")}
    [node] = nodes_of(config, tmp_path)
    async with running(node), GatewayClient(node.url) as client, channel_to(url) as channel:
        await consumes(client)
        await publish(channel, queue, b'{"id": "1"}')
        await target.wait_for_calls(1)

        async def refused() -> bool:
            return "ACCESS_REFUSED" in str(await state(client, "stranger"))

        await until(refused, True, "the reason")
        assert "wrong-password" not in node.log_path.read_text()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Signed by itself, with its key in the same file."""
    certificate, key = new_certificate(tmp_path, "DNS:localhost")
    certificate.write_text(certificate.read_text() + key.read_text())
    return certificate


@pytest.fixture
async def tls(rabbitmq: RabbitMQ, certificate: Path) -> AsyncIterator[str]:
    """The address of a broker behind TLS whose certificate only this address trusts."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    port = free_port()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner = await asyncio.open_connection("127.0.0.1", rabbitmq.port)
        await asyncio.gather(_pump(reader, inner), _pump(inner_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(carry, "127.0.0.1", port, ssl=context)
    yield f"amqps://guest:guest@localhost:{port}/?cafile={certificate}"
    server.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def test_over_tls(tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ, queue: str, tls: str) -> None:
    config = consuming(target, SQLITE, tls, queue)
    config["sources"]["trustless"] = {**config["sources"]["hook"], "url": tls.partition("?")[0]}
    [node] = nodes_of(config, tmp_path / "node")
    async with running(node), GatewayClient(node.url) as client, channel_to(rabbitmq.url) as channel:
        await consumes(client)
        await publish(channel, queue, b'{"id": "1"}')
        await target.wait_for_calls(1)

        async def refused() -> bool:
            return "CERTIFICATE_VERIFY_FAILED" in str(await state(client, "trustless"))

        await until(refused, True, "the reason")


async def test_the_example_of_the_page_works(tmp_path: Path, target: TargetServer, rabbitmq: RabbitMQ) -> None:
    page = (ROOT / "docs" / "sources" / "amqp.md").read_text()
    (tmp_path / "config.yaml").write_text(page.partition("```yaml\n")[2].partition("```")[0])
    desk = Desk(tmp_path, {"AMQP_URL": rabbitmq.url, "GATEWAY__TARGETS__SYNC__URL": f"{target.url}/sync"})
    async with channel_to(rabbitmq.url) as channel:
        exchange = await channel.declare_exchange("infrahub.events", "topic", durable=True)
        with desk.serving("config.yaml"):
            async with GatewayClient(desk.url) as client:
                await consumes(client, "inventory")
                await publish(channel, "infrahub.node.created", b'{"kind": "InfraDevice"}', exchange=exchange)
                [call] = await target.wait_for_calls(1)

    assert call.json == {"kind": "InfraDevice"}
