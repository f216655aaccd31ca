"""What is no clear request is refused, and its connection closed: nothing may hide behind it (S05)."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.web.edges import Gateway, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """One for all."""
    async with running(tmp_path_factory.mktemp("smuggling")) as one:
        yield one


HEAD = b"POST /hooks/alarms HTTP/1.1\r\nHost: a\r\n"
SMUGGLED = b"POST /hooks/alarms HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"2\r\n{}\r\n0\r\n\r\n"

REFUSED = {
    "content-length and transfer-encoding": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "transfer-encoding and content-length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n" + CHUNKED,
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "the same length twice": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": HEAD + b"Content-Length: 2, 2\r\n\r\n{}",
    "length with a plus": HEAD + b"Content-Length: +2\r\n\r\n{}",
    "negative length": HEAD + b"Content-Length: -2\r\n\r\n{}",
    "hexadecimal length": HEAD + b"Content-Length: 0x2\r\n\r\n{}",
    "length with an underscore": HEAD + b"Content-Length: 0_2\r\n\r\n{}",
    "huge length": HEAD + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n{}",
    "unknown transfer-encoding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKED,
    "chunked not last": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKED,
    "two transfer-encodings": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "space before the colon": HEAD + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKED,
    "vertical tab in transfer-encoding": HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKED,
    "folded header": HEAD + b"X-A: 1\r\n Content-Length: 2\r\n\r\n{}",
    "bare line feeds": (HEAD + b"Content-Length: 2\r\n\r\n").replace(b"\r\n", b"\n") + b"{}",
    "bare carriage return": HEAD + b"X-A: 1\rContent-Length: 2\r\n\r\n{}",
    "NUL in a header": HEAD + b"X-A: 1\x002\r\n\r\n",
    "ESC in a header": HEAD + b"X-A: \x1b[2J\r\n\r\n",
    "header without a name": HEAD + b": 1\r\n\r\n",
    "header without a colon": HEAD + b"X-A\r\n\r\n",
    "no host": b"POST /hooks/alarms HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    "two hosts": HEAD + b"Host: b\r\nContent-Length: 2\r\n\r\n{}",
    "odd version": HEAD.replace(b"HTTP/1.1", b"HTTP/1.10") + b"\r\n",
    "other protocol": HEAD.replace(b"HTTP/1.1", b"HTTQ/1.1") + b"\r\n",
    "space in the target": HEAD.replace(b"alarms", b"ala rms") + b"\r\n",
    "long header": HEAD + b"X-A: " + b"x" * 9000 + b"\r\n\r\n",
    "long target": HEAD.replace(b"alarms", b"x" * 9000) + b"\r\n",
    "many headers": HEAD + b"".join(b"X-%d: 1\r\n" % i for i in range(200)) + b"\r\n",
    "chunk size in words": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "negative chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "hexadecimal prefix of a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "chunk longer than it says": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}}\r\n0\r\n\r\n",
    "another protocol altogether": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40,
    "no protocol at all": b"\r\n\r\nhello?\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", REFUSED.values(), ids=REFUSED.keys())
async def test_s05_what_is_no_clear_request_ends_the_connection(
    gateway: Gateway, request_bytes: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    before = await _stored(gateway)

    answer = await gateway.raw(request_bytes + SMUGGLED)

    assert _statuses(answer) == [b"400"]
    assert b"\r\nContent-Type: application/problem+json\r\n" in answer
    assert await _stored(gateway) == before
    assert "Traceback" not in "".join(capfd.readouterr())


async def test_s05_requests_that_follow_each_other_are_answered_in_order(gateway: Gateway) -> None:
    last = SMUGGLED.replace(b"Host: a", b"Host: a\r\nConnection: close").replace(b"hooks/alarms", b"hooks/nothing")
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED

    answer = await gateway.raw(SMUGGLED + chunked + SMUGGLED + last)

    assert _statuses(answer) == [b"202", b"202", b"202", b"404"]


@pytest.mark.parametrize(
    "target", [b"*", b"http://a/hooks/alarms", b"//a/hooks/alarms", b"/\\hooks", b"/%", b"/hooks/alarms#x"]
)
async def test_s05_odd_targets_are_answered(gateway: Gateway, target: bytes) -> None:
    answer = await gateway.raw(b"OPTIONS " + target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    assert answer[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 405"}
    assert b"application/problem+json" in answer


async def test_s05_an_unknown_expectation_is_refused(gateway: Gateway) -> None:
    answer = await gateway.raw(HEAD + b"Expect: miracles\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    assert answer.startswith(b"HTTP/1.1 417 ")
    assert b"application/problem+json" in answer


async def _stored(gateway: Gateway) -> int:
    return len((await gateway.get("/api/v1/events")).json["items"])


def _statuses(answers: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1\.[01] (\d\d\d) ", answers)
