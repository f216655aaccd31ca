"""The target kind `http`: one request, whose answer says what became of the run."""

import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self

from aiohttp import ClientError, ClientSession
from pydantic import BaseModel, ConfigDict, Field, FilePath, model_validator

from gateway.core.duration import Duration
from gateway.core.outcome import Outcome, PermanentFailure, RetryableFailure
from gateway.targets import base
from gateway.targets.answer import Rules, judge
from gateway.targets.call import HttpCall, Renderer
from gateway.targets.display import masked_url
from gateway.targets.exchange import describe, exchange, open_session
from gateway.targets.request import Request


class Tls(BaseModel):
    """How the target's certificate is checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verify: bool = Field(default=True, description="false: any certificate will do.")
    ca: FilePath | None = Field(None, description="PEM file of the authorities to trust instead of the system's.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.ca and not self.verify:
            raise ValueError("ca needs verify: without it nothing is compared with it")
        self.context()
        return self

    def context(self) -> ssl.SSLContext | bool:
        """As aiohttp takes it. Raises `ValueError` for a file without certificates."""
        return _trusting(self.ca) if self.ca else self.verify


def _trusting(ca: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ValueError(f"no certificates in {ca}: {error}") from error


class Settings(Rules, Request, base.Settings):
    """A target that is called over HTTP."""

    kind: Literal["http"]
    connect_timeout: Duration = Field(timedelta(seconds=5), gt=timedelta(0), description="Resolving, TCP and TLS.")
    tls: Tls = Tls()

    def open(self) -> AbstractAsyncContextManager[base.Target]:
        return _open(self)


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[base.Target]:
    session = open_session(tls=settings.tls.context(), connect_timeout=settings.connect_timeout)
    async with session:
        yield HttpTarget(settings, session)


class HttpTarget:
    """Calls one target of kind `http` over connections of its own."""

    def __init__(self, settings: Settings, session: ClientSession) -> None:
        self.settings = settings
        self._session = session
        self._renderer = Renderer(settings)
        sources = [*settings.templates, *settings.expressions]
        self.names = frozenset[str]().union(*(source.names for source in sources)) - {"response"}

    def render(self, context: Mapping[str, Any]) -> HttpCall:
        return self._renderer.render(context)

    async def perform(self, call: HttpCall, attempt: base.Attempt) -> Outcome:
        said = f"{call.method} {masked_url(call.url)}"
        try:
            answer = await exchange(self._session, call, attempt)
        except (ClientError, OSError) as error:
            attempt.log(f"{said}: {describe(error)}")
            return RetryableFailure(reason=describe(error), reached=False)
        except ValueError as error:
            attempt.log(f"{said}: cannot be sent: {describe(error)}")
            return PermanentFailure(reason=f"cannot be sent: {describe(error)}")
        attempt.log(f"{said}: {answer.shown}")
        return judge(answer, self.settings, self.settings.retry, attempt.context, _now())


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)
