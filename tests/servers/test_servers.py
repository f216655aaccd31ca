"""The rig itself: real servers that start, answer, die and come back; a network that breaks as told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from uuid import uuid4

import aio_pika
import asyncpg
import pytest

from tests.servers.postgres import PostgreSQL
from tests.servers.proxy import Mode, Proxy
from tests.servers.rabbitmq import RabbitMQ

_HELD = 0.3  # seconds without an answer that count as "does not arrive"


async def test_a_fresh_database_answers(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)

    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    assert await connection.fetchval("SHOW fsync") == "on"

    await connection.close()


def test_a_test_without_event_loop_gets_a_database_too(postgres: PostgreSQL, postgres_url: str) -> None:
    database = postgres_url.rpartition("/")[2]

    assert postgres.execute("SELECT current_database(), 1 + 1", database=database) == f"{database}|2"


@pytest.mark.parametrize("end", [PostgreSQL.stop, partial(PostgreSQL.stop, mode="immediate"), PostgreSQL.kill])
async def test_postgres_comes_back_with_its_data(
    postgres: PostgreSQL, postgres_url: str, end: Callable[[PostgreSQL], None]
) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    end(postgres)
    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
        await connection.fetchval("SELECT 1")
    connection.terminate()
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncpg.connect(postgres_url)
    postgres.start()

    connection = await asyncpg.connect(postgres_url)
    assert await connection.fetchval("SELECT answer FROM kept") == 42
    await connection.close()


def test_database_url_is_of_each_kind(database_url: str, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["database_url"]

    assert database_url.startswith({"sqlite": "sqlite:////", "postgres": "postgresql://postgres@127.0.0.1:"}[kind])
    assert (request.node.get_closest_marker("postgres") is not None) == (kind == "postgres")


@pytest.mark.parametrize("end", [RabbitMQ.stop, RabbitMQ.kill])
async def test_rabbitmq_comes_back_with_its_messages(rabbitmq: RabbitMQ, end: Callable[[RabbitMQ], None]) -> None:
    rabbitmq.start()
    name = f"kept-{uuid4().hex}"
    async with await aio_pika.connect(rabbitmq.url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(name, durable=True)
        message = aio_pika.Message(b"kept", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, queue.name)

    await asyncio.to_thread(end, rabbitmq)
    with pytest.raises(OSError, match="Connect call failed"):
        await aio_pika.connect(rabbitmq.url)
    await asyncio.to_thread(rabbitmq.start)

    async with await aio_pika.connect(rabbitmq.url) as connection:
        queue = await (await connection.channel()).declare_queue(name, durable=True)
        received = await queue.get()
        await received.ack()
        assert received.body == b"kept"


def test_rabbitmq_obeys_its_control_command(rabbitmq: RabbitMQ) -> None:
    rabbitmq.start()

    assert f"gateway-{rabbitmq.port}@localhost" in rabbitmq.control("cluster_status")


class EchoServer:
    """Answers each line with itself, and remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.heard.append(line)
            writer.write(line)
        writer.close()


@pytest.fixture
def echo_server() -> EchoServer:
    return EchoServer()


@pytest.fixture
async def proxy(echo_server: EchoServer) -> AsyncIterator[Proxy]:
    listener = await asyncio.start_server(echo_server.answer, "127.0.0.1")
    async with listener, Proxy(listener.sockets[0].getsockname()[1]) as proxy:
        yield proxy


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def of(cls, proxy: Proxy) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", proxy.port))

    def say(self, line: bytes) -> None:
        self._writer.write(line)

    async def hear(self) -> bytes:
        async with asyncio.timeout(_HELD):
            return await self._reader.readline()

    def close(self) -> None:
        self._writer.close()


async def test_proxy_passes_everything(proxy: Proxy) -> None:
    client = await Client.of(proxy)
    client.say(b"hello\n")

    assert await client.hear() == b"hello\n"
    client.close()


@pytest.mark.parametrize(
    ("mode", "arrived"),
    [("blackhole", [b"before\n"]), ("up_only", [b"before\n", b"during\n", b"during\n"])],
)
async def test_proxy_holds_what_must_not_arrive_and_delivers_it_later(
    proxy: Proxy,
    echo_server: EchoServer,
    mode: Mode,
    arrived: list[bytes],
) -> None:
    earlier = await Client.of(proxy)
    earlier.say(b"before\n")
    assert await earlier.hear() == b"before\n"

    await proxy.switch(mode)
    later = await Client.of(proxy)
    for client in (earlier, later):
        client.say(b"during\n")
        with pytest.raises(TimeoutError):
            await client.hear()
    assert echo_server.heard == arrived

    await proxy.switch("pass")
    for client in (earlier, later):
        assert await client.hear() == b"during\n"
        client.close()


@pytest.mark.parametrize("mode", ["cut", "refuse"])
async def test_proxy_resets_open_connections(proxy: Proxy, mode: Mode) -> None:
    client = await Client.of(proxy)
    client.say(b"hello\n")
    assert await client.hear() == b"hello\n"

    await proxy.switch(mode)

    with pytest.raises(ConnectionResetError):
        await client.hear()


async def test_proxy_that_cuts_accepts_and_resets(proxy: Proxy) -> None:
    await proxy.switch("cut")

    client = await Client.of(proxy)

    with pytest.raises(ConnectionResetError):
        await client.hear()


async def test_proxy_that_refuses_listens_again_on_the_same_port(proxy: Proxy) -> None:
    await proxy.switch("refuse")
    with pytest.raises(ConnectionRefusedError):
        await Client.of(proxy)

    await proxy.switch("pass")

    client = await Client.of(proxy)
    client.say(b"again\n")
    assert await client.hear() == b"again\n"
    client.close()
