"""Streams that say nothing, say too much, or are no longer wanted."""

import asyncio
import gzip
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest

from gateway.core.outcome import PermanentFailure, RetryableFailure, Succeeded
from tests.servers.ports import free_port
from tests.target_answer import Answer
from tests.target_server import TargetServer
from tests.targets.calling import attempt, call, configured, outcome_of, raw_server

TYPE = {"Content-Type": "text/event-stream"}
COMPLETE = b"event: complete\ndata: {}\n\n"
STEP = b"event: step\ndata: {}\n\n"
COMMENT = b": keepalive\n\n"
MIB = 2**20


@pytest.fixture
async def server() -> AsyncIterator[TargetServer]:
    async with TargetServer() as server:
        yield server


async def timed(server: TargetServer, *parts: bytes | float, **keys: Any) -> tuple[Any, float]:
    """What comes of a stream, and after how many seconds."""
    server.answer = Answer(headers=TYPE, body=parts)
    began = time.monotonic()
    outcome = await outcome_of(kind="sse", url=server.url, **keys)
    return outcome, time.monotonic() - began


# Silence


SILENT: dict[str, tuple[tuple[bytes | float, ...], dict[str, str], str]] = {
    "no bytes": ((30.0,), {"first_byte_timeout": "200ms"}, "no first byte within 200ms"),
    "no bytes, impatiently": ((30.0,), {"idle_timeout": "200ms"}, "no byte within 200ms"),
    "a comment, then nothing": ((COMMENT, 30.0), {"idle_timeout": "200ms"}, "no byte within 200ms"),
    "progress, then nothing": ((STEP, 30.0), {"idle_timeout": "200ms"}, "no byte within 200ms"),
    "half an event, then nothing": ((b"event: complete\n", 30.0), {"idle_timeout": "200ms"}, "no byte within 200ms"),
    "comments only": ((COMMENT, 0.05) * 100, {"progress_timeout": "200ms"}, "no event within 200ms"),
    "comments after progress": (
        (STEP, *((COMMENT, 0.05) * 100)),
        {"progress_timeout": "200ms"},
        "no event within 200ms",
    ),
    "half an event without end": ((b"data: a\n", 0.05) * 100, {"progress_timeout": "200ms"}, "no event within 200ms"),
}


@pytest.mark.parametrize(("parts", "keys", "reason"), SILENT.values(), ids=SILENT.keys())
async def test_x03_a_stream_that_falls_silent_is_given_up(
    server: TargetServer, parts: tuple[bytes | float, ...], keys: dict[str, str], reason: str
) -> None:
    outcome, took = await timed(server, *parts, **keys)

    assert outcome == RetryableFailure(reason=reason, reached=False)
    assert 0.2 <= took < 2
    assert len(server.calls) == 1


async def test_x03_an_answer_that_does_not_come_is_given_up(server: TargetServer) -> None:
    server.answer = Answer(delay=30)
    given = attempt()

    outcome = await outcome_of(given, kind="sse", url=server.url + "/?token=hush", first_byte_timeout="200ms")

    assert outcome == RetryableFailure(reason="no first byte within 200ms", reached=False)
    assert given.lines == [f"GET {server.url}/?token=***: no first byte within 200ms"]


async def test_x03_the_body_of_a_refusal_that_does_not_come_is_given_up(server: TargetServer) -> None:
    server.answer = Answer(status=502, body=(b"sorry", 30.0))

    outcome = await outcome_of(kind="sse", url=server.url, idle_timeout="200ms")

    assert outcome == RetryableFailure(reason="no byte within 200ms", reached=False)


@pytest.mark.parametrize(
    ("parts", "keys"),
    [
        ((0.25, STEP, 0.25, COMPLETE), {"first_byte_timeout": "450ms", "idle_timeout": "450ms"}),
        ((STEP, 0.25, COMPLETE), {"first_byte_timeout": "200ms", "idle_timeout": "450ms"}),
        ((*((COMMENT, 0.05) * 8), COMPLETE), {"idle_timeout": "200ms"}),
        ((*((STEP, 0.05) * 8), COMPLETE), {"idle_timeout": "200ms", "progress_timeout": "200ms"}),
        ((b"event: com", 0.1, b"plete\nda", 0.1, b"ta: {}\n", 0.1, b"\n"), {"idle_timeout": "250ms"}),
    ],
    ids=["just within", "the first byte once", "comments are bytes", "events are progress", "in pieces"],
)
async def test_x03_a_stream_survives_silence_within_its_limits(
    server: TargetServer, parts: tuple[bytes | float, ...], keys: dict[str, str]
) -> None:
    outcome, _ = await timed(server, *parts, **keys)

    assert outcome == Succeeded(status=200)


async def test_x03_the_total_time_is_the_attempts(server: TargetServer) -> None:
    """However much the stream has to say."""
    server.answer = Answer(headers=TYPE, body=(STEP, 0.02) * 1000)
    async with configured("sse", url=server.url).open() as target:
        with pytest.raises(TimeoutError):
            await call(target, seconds=0.2)

        await ended(server)
        server.answer = Answer(headers=TYPE, body=COMPLETE)
        assert await call(target) == Succeeded(status=200)


async def test_a_connection_that_is_refused_is_not_reached() -> None:
    refused = await outcome_of(kind="sse", url=f"http://127.0.0.1:{free_port()}/")

    assert refused == RetryableFailure(reason="connection refused", reached=False)


async def test_a_connection_that_is_never_accepted_ends_with_connect_timeout() -> None:
    with socket.socket() as full, socket.socket() as only, socket.socket() as next_one:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for client in (only, next_one):
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/"

        late = await outcome_of(kind="sse", url=url, connect_timeout="100ms")

    assert late == RetryableFailure(reason="no connection in time", reached=False)


# Too much


async def test_x03_an_event_without_end_is_given_up_within_its_budget(server: TargetServer) -> None:
    memory = psutil.Process().memory_info().rss
    outcome, _ = await timed(server, b"data: ", *([bytes(MIB)] * 64))

    assert outcome == RetryableFailure(reason=f"an event is longer than max_event: {4 * MIB}")
    assert psutil.Process().memory_info().rss - memory < 40 * MIB
    assert len(server.calls) == 1


@pytest.mark.parametrize("packed", [False, True])
async def test_x03_a_stream_without_end_is_given_up_within_its_budget(server: TargetServer, packed: bool) -> None:
    """Packed, it is what comes out that counts."""
    text = b": keepalive\n" * MIB
    server.answer = Answer(
        headers={**TYPE, **({"Content-Encoding": "gzip"} if packed else {})},
        body=(gzip.compress(text) if packed else text, 30.0),
    )

    outcome = await outcome_of(kind="sse", url=server.url, max_bytes="1MiB")

    assert outcome == RetryableFailure(reason=f"the stream is longer than max_bytes: {MIB}")


async def test_a_flood_of_events_leaves_others_their_turn(server: TargetServer) -> None:
    server.answer = Answer(headers=TYPE, body=b"data: {}\n\n" * 20_000 + COMPLETE)
    running = asyncio.create_task(outcome_of(kind="sse", url=server.url))
    longest, last = 0.0, time.monotonic()
    while not running.done():
        await asyncio.sleep(0.001)
        now = time.monotonic()
        longest, last = max(longest, now - last), now

    assert await running == Succeeded(status=200)
    assert longest < 0.3


# No longer wanted


async def ended(server: TargetServer) -> None:
    async with asyncio.timeout(5):
        while server.running:  # noqa: ASYNC110 - it tells nobody when a call ends
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("answer", [Answer(delay=30), Answer(headers=TYPE, body=(STEP, 30.0))])
async def test_a_cancelled_attempt_breaks_the_connection_off(server: TargetServer, answer: Answer) -> None:
    server.answer = answer
    async with configured("sse", url=server.url).open() as target:
        given = attempt()
        task = asyncio.create_task(target.perform(target.render(given.context), given))
        await server.wait_for_calls(1)
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
        await ended(server)


async def test_what_goes_on_after_its_end_is_broken_off(server: TargetServer) -> None:
    server.answer = Answer(headers=TYPE, body=(COMPLETE, 30.0))
    async with configured("sse", url=server.url).open() as target:
        assert await call(target) == Succeeded(status=200)
        await ended(server)


# Nonsense


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"\0\xff garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1000\r\n\r\n" + STEP,
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + COMPLETE,
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\n" + COMPLETE,
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX: " + b"a" * 100_000 + b"\r\n\r\n" + COMPLETE,
    ],
)
async def test_x03_an_answer_that_is_no_http_is_retried(nonsense: bytes) -> None:
    given = attempt()
    async with raw_server(nonsense) as url:
        outcome = await outcome_of(given, kind="sse", url=url + "?token=hush")

    assert isinstance(outcome, RetryableFailure)
    assert not outcome.reached
    assert "hush" not in f"{outcome.reason}{given.lines}"


async def test_a_stream_of_http_1_0_ends_with_its_connection() -> None:
    async with raw_server(b"HTTP/1.0 200 OK\r\nContent-Type: TEXT/Event-Stream\r\n\r\n" + STEP + COMPLETE) as url:
        assert await outcome_of(kind="sse", url=url) == Succeeded(status=200)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("elsewhere", ["server", "file:///etc/passwd", "http://169.254.169.254/latest/"])
async def test_s07_a_redirect_is_not_followed(server: TargetServer, status: int, elsewhere: str) -> None:
    async with TargetServer(Answer(headers=TYPE, body=COMPLETE)) as other:
        location = other.url if elsewhere == "server" else elsewhere
        server.answer = Answer(status=status, headers={"Location": location})
        keys: dict[str, Any] = {"method": "POST", "headers": {"X-Api-Key": "hush", "Authorization": "Bearer hush"}}

        outcome = await outcome_of(kind="sse", url=server.url, **keys)

        assert isinstance(outcome, PermanentFailure)
        assert outcome.status == status
        assert not other.calls
    assert len(server.calls) == 1
