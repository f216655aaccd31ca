"""Sending one request over HTTP and reading the answer: the part that touches the network."""

import time
from datetime import timedelta
from io import BytesIO
from ssl import SSLContext

from aiohttp import (
    ClientConnectionError,
    ClientConnectorError,
    ClientHandlerType,
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    ServerDisconnectedError,
    TCPConnector,
)

from gateway import __version__
from gateway.targets.answer import Answer
from gateway.targets.base import Attempt
from gateway.targets.call import HttpCall
from gateway.targets.display import printable

MAX_ANSWER = 2**20
_CHUNK = 2**16
_LARGE = 2**19
_KEEP_ALIVE = 4.0  # seconds; below the 5 s of common servers, so that we seldom write into what they are just closing


def open_session(*, tls: SSLContext | bool, connect_timeout: timedelta) -> ClientSession:
    """Connections of one target: no cookies, no proxies, no limit but the target's own concurrency.

    Only connecting has a time limit here; the deadline of the whole attempt is the caller's.
    """
    return ClientSession(
        connector=TCPConnector(limit=0, ssl=tls, keepalive_timeout=_KEEP_ALIVE),
        cookie_jar=DummyCookieJar(),
        headers={"User-Agent": f"trigger-gateway/{__version__}"},
        timeout=ClientTimeout(total=None, connect=connect_timeout.total_seconds()),
        middlewares=(_send_once,),
    )


async def exchange(session: ClientSession, call: HttpCall, attempt: Attempt) -> Answer:
    """The answer to a call. Raises aiohttp's `ClientError`, `OSError` and `ValueError`."""
    headers = call.headers.copy()
    headers.update(_identity(attempt))
    data = attempt.payload_bytes if call.content.data is None else call.content.data
    began = time.perf_counter()
    async with session.request(
        call.method, call.url, headers=headers, data=_readable(data), allow_redirects=False
    ) as response:
        body = await _read(response)
        return Answer(
            status=response.status,
            headers=_lower(response),
            body=body[:MAX_ANSWER],
            cut=len(body) > MAX_ANSWER,
            seconds=time.perf_counter() - began,
        )


def describe(error: Exception) -> str:
    """What went wrong, without the URL: that could hold secrets."""
    match error:
        case ConnectionTimeoutError():
            text = "no connection in time"
        case ClientResponseError():
            text = f"no valid HTTP: {error.message}"
        case ClientConnectorError() if isinstance(error.os_error, ConnectionRefusedError):
            text = "connection refused"
        case _:
            text = str(error) or type(error).__name__
    return printable(" ".join(text.split())[:300])


async def _send_once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Hides from aiohttp that a kept connection broke: it would repeat GET, PUT and DELETE without telling anybody."""
    try:
        return await handler(request)
    except ClientConnectorError:
        raise
    except (ClientOSError, ServerDisconnectedError) as error:
        raise ClientConnectionError(str(error)) from error


def _identity(attempt: Attempt) -> dict[str, str]:
    return {
        "Idempotency-Key": attempt.run_id,
        "X-Gateway-Run-Id": attempt.run_id,
        "X-Gateway-Attempt": str(attempt.number),
        "traceparent": attempt.traceparent,
    }


def _readable(data: bytes) -> bytes | BytesIO | None:
    """Large bodies as a file: aiohttp sends them piece by piece, and would warn of large bytes."""
    return BytesIO(data) if len(data) > _LARGE else data or None


async def _read(response: ClientResponse) -> bytes:
    """At most a little more than the budget; what is packed counts as it comes out."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > MAX_ANSWER:
            response.close()
            break
    return bytes(body)


def _lower(response: ClientResponse) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        known = headers.get(name.lower())
        headers[name.lower()] = value if known is None else f"{known}, {value}"
    return headers
