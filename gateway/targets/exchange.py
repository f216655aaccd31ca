"""Sending one request over HTTP and reading the answer: the part that touches the network."""

import time
from io import BytesIO

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ConnectionTimeoutError,
)

from gateway.core.outcome import PermanentFailure, RetryableFailure
from gateway.targets.addresses import is_refusal
from gateway.targets.answer import Answer
from gateway.targets.base import Attempt
from gateway.targets.call import HttpCall
from gateway.targets.display import printable

MAX_ANSWER = 2**20
Failure = RetryableFailure | PermanentFailure
NO_ANSWER = (ClientError, OSError, ValueError)
"""What is raised where a call gets no answer."""
_CHUNK = 2**16
_IDEMPOTENCY_KEY = "Idempotency-Key"
_LARGE = 2**19


async def call_once(
    session: ClientSession, call: HttpCall, attempt: Attempt, *, is_the_call: bool = True, quiet: bool = False
) -> Answer | Failure:
    """The answer to a call, or why there is none; either is logged, `quiet` leaves answers out."""
    try:
        answer = await exchange(session, call, attempt, is_the_call=is_the_call)
    except NO_ANSWER as error:
        failure = unanswered(error)
        attempt.log(f"{call.named}: {failure.reason}")
        return failure
    if not quiet:
        attempt.log(f"{call.named}: {answer.shown}")
    return answer


async def exchange(session: ClientSession, call: HttpCall, attempt: Attempt, *, is_the_call: bool = True) -> Answer:
    """The answer to the call of an attempt, or to a question beside it. Raises `NO_ANSWER`."""
    began = time.perf_counter()
    async with await send(session, call, attempt, is_the_call=is_the_call) as response:
        return answer_of(response, await read_body(response), began)


async def send(session: ClientSession, call: HttpCall, attempt: Attempt, *, is_the_call: bool = True) -> ClientResponse:
    """The response to a call, of which nothing but the head has been read. Raises `NO_ANSWER`."""
    headers = call.headers.copy()
    headers.update(_identity(attempt))
    if is_the_call:
        headers[_IDEMPOTENCY_KEY] = attempt.run_id
    data = attempt.payload_bytes if call.content.data is None else call.content.data
    return await session.request(call.method, call.url, headers=headers, data=_readable(data), allow_redirects=False)


async def read_body(response: ClientResponse) -> bytes:
    """The body, or a little more than the budget; what is packed counts as it comes out. Raises `NO_ANSWER`."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > MAX_ANSWER:
            response.close()
            break
    return bytes(body)


def answer_of(response: ClientResponse, body: bytes, began: float) -> Answer:
    """A response with what was read of its body; `began` is of `time.perf_counter`."""
    return Answer(
        status=response.status,
        headers=_lower(response),
        body=body[:MAX_ANSWER],
        cut=len(body) > MAX_ANSWER,
        seconds=time.perf_counter() - began,
    )


def unanswered(error: Exception) -> Failure:
    """What one of `NO_ANSWER` means for the attempt."""
    if isinstance(error, ClientConnectorError) and is_refusal(error.os_error):
        return PermanentFailure(reason=describe(error))
    if isinstance(error, ClientError | OSError):
        return RetryableFailure(reason=describe(error), reached=False)
    return PermanentFailure(reason=f"cannot be sent: {describe(error)}")


def describe(error: Exception) -> str:
    """What went wrong, without the URL: that could hold secrets."""
    match error:
        case ConnectionTimeoutError():
            text = "no connection in time"
        case ClientResponseError():
            text = f"no valid HTTP: {error.message}"
        case ClientConnectorError() if isinstance(error.os_error, ConnectionRefusedError):
            text = "connection refused"
        case ClientConnectorError() if is_refusal(error.os_error):
            text = str(error.os_error.strerror)
        case _:
            text = str(error) or type(error).__name__
    return printable(" ".join(text.split())[:300])


def _identity(attempt: Attempt) -> dict[str, str]:
    return {
        "X-Gateway-Run-Id": attempt.run_id,
        "X-Gateway-Attempt": str(attempt.number),
        "traceparent": attempt.traceparent,
    }


def _readable(data: bytes) -> bytes | BytesIO | None:
    """Large bodies as a file: aiohttp sends them piece by piece, and would warn of large bytes."""
    return BytesIO(data) if len(data) > _LARGE else data or None


def _lower(response: ClientResponse) -> dict[str, str]:
    """What is no text in them becomes so: half a character can neither be stored nor sent on."""
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        known, sound = headers.get(name.lower()), value.encode(errors="surrogateescape").decode(errors="replace")
        headers[name.lower()] = sound if known is None else f"{known}, {sound}"
    return headers
