"""The target kind `http`: one request, whose answer says what became of the run."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, Literal, Self

from aiohttp import ClientSession
from pydantic import Field, model_validator

from gateway.core.errors import TemplateError
from gateway.core.outcome import Outcome, PermanentFailure
from gateway.core.template import Tree, sees
from gateway.targets import base
from gateway.targets.answer import Answer, Rules, judge
from gateway.targets.call import HttpCall, Renderer
from gateway.targets.connection import Connection
from gateway.targets.exchange import call_once
from gateway.targets.follow import Follower
from gateway.targets.job import JOB_SEEN, Following
from gateway.targets.question import Question, Questions
from gateway.targets.request import Request


class Settings(Following, Rules, Request, Connection, base.Settings):
    """A target that is called over HTTP."""

    kind: Literal["http"]
    output: Annotated[Tree, sees(*JOB_SEEN, "response")] | None = Field(
        None, description="Kept with the run, handed to chained triggers; 64 KiB. With `poll`, it sees `started`."
    )

    @model_validator(mode="after")
    def _check_output(self) -> Self:
        if self.poll is None and self.output is not None and "started" in self.output.names:
            raise ValueError("output: unknown name 'started'; it is known only with poll")
        return self

    def open(self) -> AbstractAsyncContextManager[base.Target]:
        return _open(self)


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[base.Target]:
    async with settings.open_session() as session:
        yield HttpTarget(settings, session)


class HttpTarget:
    """Calls one target of kind `http` over connections of its own."""

    def __init__(self, settings: Settings, session: ClientSession) -> None:
        self.settings = settings
        self._session = session
        self._renderer = Renderer(settings)
        self._ready = Question(settings.ready) if settings.ready else None
        self._follower = Follower(settings.poll, settings, settings, settings.retry, session) if settings.poll else None
        sources = [*settings.templates, *settings.expressions, *settings.asked]
        self.names = frozenset[str]().union(*(source.names for source in sources)) - {"response", "started"}

    def render(self, context: Mapping[str, Any]) -> HttpCall:
        return self._renderer.render(context)

    async def perform(self, call: HttpCall, attempt: base.Attempt) -> Outcome:
        try:
            questions = Questions(self._session, call, attempt)
            if obstacle := await questions.obstacle(self._ready, self.settings.retry):
                return obstacle
            if self._follower:
                return await self._follower.perform(call, attempt)
        except TemplateError as error:
            return PermanentFailure(reason=f"template: {error}")
        answer = await call_once(self._session, call, attempt)
        if not isinstance(answer, Answer):
            return answer
        return judge(answer, self.settings, self.settings.retry, attempt.context)
