"""What comes of a target that refuses, breaks off, stalls or talks nonsense."""

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from gateway.core.outcome import Outcome, PermanentFailure, RetryableFailure, Succeeded
from tests.servers.ports import free_port
from tests.target_answer import Answer
from tests.target_server import TargetServer
from tests.targets.calling import attempt, call, configured, outcome_of, raw_server


@pytest.fixture
async def server() -> AsyncIterator[TargetServer]:
    async with TargetServer() as server:
        yield server


def assert_not_reached(outcome: Outcome) -> None:
    assert isinstance(outcome, RetryableFailure)
    assert not outcome.reached
    assert outcome.reason


async def test_x01_a_refused_connection_is_retried_and_counts_as_not_reached() -> None:
    outcome = await outcome_of(url=f"http://127.0.0.1:{free_port()}/run?token=hush")

    assert_not_reached(outcome)
    assert "hush" not in str(outcome.reason)


async def test_x01_a_name_that_does_not_resolve_is_retried() -> None:
    assert_not_reached(await outcome_of(url="http://nowhere.invalid/"))


@pytest.mark.parametrize("host", ["a" * 70, "a..b", "%00", "*", "h;x", "h<x"])
async def test_x01_a_host_that_is_no_name_never_raises(host: str) -> None:
    given = attempt({"host": host})

    outcome = await outcome_of(given, url="http://{{ payload.host }}.invalid/")

    assert isinstance(outcome, RetryableFailure | PermanentFailure)


@pytest.mark.parametrize("body", [b"", b"half", (b"some", 0.02)], ids=["at once", "after a part", "in chunks"])
@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE"])
async def test_x01_a_broken_connection_is_retried_but_by_nobody_else(
    server: TargetServer, method: str, body: bytes | tuple[bytes | float, ...]
) -> None:
    """Also on a kept connection, where aiohttp itself would repeat GET, PUT and DELETE."""
    async with configured(url=server.url, method=method).open() as target:
        assert isinstance(await call(target), Succeeded)
        server.answer = Answer(body=body, reset=True)

        assert_not_reached(await call(target))

    assert len(server.calls) == 2


async def test_x01_a_server_that_closes_its_kept_connection_gets_one_call_per_attempt() -> None:
    """The connection looks alive when the call is written, and is closed instead of answered."""
    received = 0

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""):
            received += bool(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()
        writer.close()

    listener = await asyncio.start_server(answer_once, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener, configured(method="GET", url=f"http://127.0.0.1:{port}/").open() as target:
        assert isinstance(await call(target), Succeeded)
        assert_not_reached(await call(target))

    assert received == 2


async def test_x01_a_server_that_says_nothing_is_left_to_the_deadline_of_the_attempt(server: TargetServer) -> None:
    server.answer = Answer(delay=30)
    async with configured(url=server.url).open() as target:
        with pytest.raises(TimeoutError):
            await call(target, seconds=0.1)

        server.answer = Answer()
        assert isinstance(await call(target), Succeeded)


async def test_x01_a_connection_that_is_never_accepted_ends_with_connect_timeout() -> None:
    with socket.socket() as full, socket.socket() as only, socket.socket() as next_one:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for client in (only, next_one):
            client.setblocking(False)
            client.connect_ex(full.getsockname())

        outcome = await outcome_of(url=f"http://127.0.0.1:{full.getsockname()[1]}/?token=hush", connect_timeout="100ms")

    assert_not_reached(outcome)
    assert outcome.reason == "no connection in time"


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"\0\xff garbage\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 2OO OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Length: 20\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: a\r\n" % i for i in range(1000)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
    ],
)
async def test_x01_an_answer_that_is_no_http_is_retried(nonsense: bytes) -> None:
    given = attempt()
    async with raw_server(nonsense) as url:
        outcome = await outcome_of(given, url=url + "?token=hush")

    assert_not_reached(outcome)
    assert "hush" not in f"{outcome.reason}{given.lines}"
    assert "\0" not in f"{outcome.reason}{given.lines}"


@pytest.mark.parametrize(
    ("status", "kind", "reached"),
    [
        (400, PermanentFailure, None),
        (401, PermanentFailure, None),
        (403, PermanentFailure, None),
        (404, PermanentFailure, None),
        (409, PermanentFailure, None),
        (422, PermanentFailure, None),
        (408, RetryableFailure, True),
        (425, RetryableFailure, True),
        (429, RetryableFailure, False),
        (500, RetryableFailure, False),
        (502, RetryableFailure, False),
        (503, RetryableFailure, False),
        (504, RetryableFailure, False),
        (599, RetryableFailure, False),
        (999, PermanentFailure, None),
    ],
)
async def test_x01_the_status_says_whether_calling_again_can_help(
    server: TargetServer, status: int, kind: type[Outcome], reached: bool | None
) -> None:
    server.answer = Answer(status=status, body=b"no")

    outcome = await outcome_of(url=server.url)

    assert type(outcome) is kind
    assert outcome.status == status
    assert getattr(outcome, "reached", None) is reached
    assert str(status) in str(outcome.reason)


async def test_x01_a_target_that_asks_for_time_is_given_it(server: TargetServer) -> None:
    server.answer = Answer(status=429, headers={"Retry-After": "120"})

    outcome = await outcome_of(url=server.url)

    assert isinstance(outcome, RetryableFailure)
    assert outcome.retry_after == timedelta(minutes=2)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("elsewhere", ["server", "file:///etc/passwd", "http://169.254.169.254/latest/"])
async def test_s07_a_redirect_is_not_followed(server: TargetServer, status: int, elsewhere: str) -> None:
    async with TargetServer() as other:
        location = other.url if elsewhere == "server" else elsewhere
        server.answer = Answer(status=status, headers={"Location": location})

        outcome = await outcome_of(url=server.url, headers={"X-Api-Key": "hush", "Authorization": "Bearer hush"})

        assert isinstance(outcome, PermanentFailure)
        assert outcome.status == status
        assert not other.calls
    assert len(server.calls) == 1


async def test_a_cookie_is_not_kept(server: TargetServer) -> None:
    server.script.append(Answer(headers={"Set-Cookie": "session=hush; Path=/"}))
    async with configured(url=server.url).open() as target:
        await call(target)
        await call(target)

    assert "Cookie" not in server.calls[1].headers


async def test_a_cancelled_attempt_breaks_the_connection_off(server: TargetServer) -> None:
    server.answer = Answer(delay=30)
    async with configured(url=server.url).open() as target:
        given = attempt()
        task = asyncio.create_task(target.perform(target.render(given.context), given))
        await server.wait_for_calls(1)
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            while server.running:  # noqa: ASYNC110 - it tells nobody when a call ends
                await asyncio.sleep(0.01)
