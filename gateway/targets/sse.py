"""The target kind `sse`: one request, whose answer is a stream of events that says how the run goes, and how it ended.

Never is a stream that broke opened again: that would start the work again, which is for the retries to decide.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from datetime import timedelta
from typing import Any, Literal, TypeVar

from aiohttp import ClientSession, StreamReader, hdrs
from pydantic import Field

from gateway.core.duration import Duration, Size, format_duration
from gateway.core.errors import TemplateError
from gateway.core.outcome import Outcome, PermanentFailure, RetryableFailure
from gateway.targets import base
from gateway.targets.answer import Answer, failure, phrase
from gateway.targets.call import HttpCall, Renderer
from gateway.targets.connection import Connection
from gateway.targets.events import SEEN_OF_EVENT, Listener, Rules
from gateway.targets.exchange import NO_ANSWER, answer_of, read_body, send, unanswered
from gateway.targets.job import Readiness
from gateway.targets.question import Question, Questions
from gateway.targets.request import Method, Request
from gateway.targets.stream import Parser, TooLarge

MEDIA_TYPE = "text/event-stream"
_FIRST_BYTE, _BYTE, _EVENT = "first byte", "byte", "event"
_CHUNK = 2**12  # bytes that are dealt with at once, before others have their turn

T = TypeVar("T")


class Settings(Readiness, Rules, Request, Connection, base.Settings):
    """A target that is called over HTTP and tells of its work in server-sent events."""

    kind: Literal["sse"]
    method: Method = Field("GET", description="Of the request.")
    first_byte_timeout: Duration = Field(
        timedelta(seconds=60), gt=timedelta(0), description="From the request to the first byte of the stream."
    )
    idle_timeout: Duration = Field(timedelta(seconds=60), gt=timedelta(0), description="Without any byte.")
    progress_timeout: Duration = Field(timedelta(minutes=10), gt=timedelta(0), description="Without any event.")
    max_bytes: Size = Field(256 * 2**20, gt=0, description="Of the whole stream.")
    max_event: Size = Field(4 * 2**20, gt=0, description="Of one event, and so of one line.")

    def open(self) -> AbstractAsyncContextManager[base.Target]:
        return _open(self)


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[base.Target]:
    async with settings.open_session({hdrs.ACCEPT: MEDIA_TYPE}) as session:
        yield SseTarget(settings, session)


class Patience:
    """Limits for how long one waits for what; what is expected has its limit from then on."""

    def __init__(self, limits: Mapping[str, timedelta]) -> None:
        self._limits = limits
        self._until: dict[str, float] = {}
        self._time = asyncio.get_running_loop().time

    def expect(self, what: str) -> None:
        self._until[what] = self._time() + self._limits[what].total_seconds()

    def dismiss(self, what: str) -> None:
        self._until.pop(what, None)

    async def wait(self, result: Awaitable[T]) -> T:
        """Raises `TimeoutError` when something expected has not come in time; the message says what."""
        what = min(self._until, key=self._until.__getitem__)
        try:
            async with asyncio.timeout_at(self._until[what]) as limit:
                return await result
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TimeoutError(f"no {what} within {format_duration(self._limits[what])}") from error


class SseTarget:
    """Calls one target of kind `sse` over connections of its own."""

    def __init__(self, settings: Settings, session: ClientSession) -> None:
        self.settings = settings
        self._session = session
        self._renderer = Renderer(settings)
        self._ready = Question(settings.ready) if settings.ready else None
        sources = [*settings.templates, *settings.sources, *settings.asked]
        self.names = frozenset[str]().union(*(source.names for source in sources)) - {"response", *SEEN_OF_EVENT}

    def render(self, context: Mapping[str, Any]) -> HttpCall:
        return self._renderer.render(context)

    async def perform(self, call: HttpCall, attempt: base.Attempt) -> Outcome:
        try:
            questions = Questions(self._session, call, attempt)
            obstacle = await questions.obstacle(self._ready, self.settings.retry)
            return obstacle or await self._follow(call, attempt)
        except TemplateError as error:
            return PermanentFailure(reason=f"template: {error}")
        except NO_ANSWER as error:
            broken: Outcome = unanswered(error)
        except TooLarge as error:
            broken = RetryableFailure(reason=str(error))
        attempt.log(f"{call.named}: {broken.reason}")
        return broken

    async def _follow(self, call: HttpCall, attempt: base.Attempt) -> Outcome:
        """Raises `NO_ANSWER` and `TooLarge`."""
        began, patience = time.perf_counter(), _patience(self.settings)
        with closing(await patience.wait(send(self._session, call, attempt))) as response:
            patience.expect(_BYTE)
            head = answer_of(response, b"", began)
            if head.is_ok and response.content_type == MEDIA_TYPE:
                attempt.log(f"{call.named}: {head.shown}")
                listener = Listener(self.settings, self.settings.retry, attempt, head)
                return await self._listen(response.content, listener, patience)
            answer = answer_of(response, await patience.wait(read_body(response)), began)
            attempt.log(f"{call.named}: {answer.shown}")
            return self._judge(answer, attempt)

    async def _listen(self, stream: StreamReader, listener: Listener, patience: Patience) -> Outcome:
        parser = Parser(max_event=self.settings.max_event, max_bytes=self.settings.max_bytes)
        while chunk := await patience.wait(stream.read(_CHUNK)):
            patience.expect(_BYTE)
            patience.dismiss(_FIRST_BYTE)
            for event in parser.feed(chunk):
                patience.expect(_EVENT)
                if outcome := listener.hear(event):
                    return outcome
            await asyncio.sleep(0)  # where more has come already, reading it would let nobody else have a turn
        return listener.end()

    def _judge(self, answer: Answer, attempt: base.Attempt) -> Outcome:
        """What an answer means that is no stream."""
        problem = f"answered {phrase(answer.status)}" + (", but no event stream" if answer.is_ok else "")
        seen, rules = {**attempt.context, "response": answer.context}, self.settings
        return failure(
            answer, problem, permanent=rules.permanent, retry=rules.retry, seen=seen, is_success=answer.is_ok
        )


def _patience(settings: Settings) -> Patience:
    """From the request to the head of its answer."""
    limits = (settings.first_byte_timeout, settings.idle_timeout, settings.progress_timeout)
    patience = Patience(dict(zip((_FIRST_BYTE, _BYTE, _EVENT), limits, strict=True)))
    patience.expect(_FIRST_BYTE)
    patience.expect(_EVENT)
    return patience
