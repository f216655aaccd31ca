"""What an attempt asks its target beside the call itself."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Generic, TypeVar

from aiohttp import ClientSession, hdrs

from gateway.core.outcome import PermanentFailure, RetryableFailure
from gateway.core.retry import Retry
from gateway.targets.answer import Answer, holds, phrase
from gateway.targets.base import Attempt
from gateway.targets.call import HttpCall, Renderer
from gateway.targets.display import printable
from gateway.targets.exchange import Failure, call_once
from gateway.targets.job import Asking, Ready

A = TypeVar("A", bound=Asking)

PATIENCE = 30.0  # seconds for one answer


class Question(Generic[A]):
    """One request that is configured beside the call."""

    def __init__(self, asking: A) -> None:
        self.asking = asking
        self._renderer = Renderer(asking)

    def render(self, seen: Mapping[str, Any], beside: HttpCall) -> HttpCall:
        """As it is sent, with the headers of the call where the host is the same. Raises `TemplateError`."""
        call = self._renderer.render(seen)
        if call.url.origin() == beside.url.origin():
            for name, value in beside.headers.items():
                if name.title() != hdrs.CONTENT_TYPE:
                    call.headers.setdefault(name, value)
        return call


class Questions:
    """The questions of one attempt."""

    def __init__(self, session: ClientSession, beside: HttpCall, attempt: Attempt) -> None:
        self._session = session
        self._beside = beside
        self._attempt = attempt

    async def ask(self, question: Question[Any], seen: Mapping[str, Any], *, quiet: bool = False) -> Answer | Failure:
        """The answer; `quiet` keeps it out of the log where there is one. Raises `TemplateError`."""
        call = question.render(seen, self._beside)
        try:
            async with asyncio.timeout(PATIENCE):
                return await call_once(self._session, call, self._attempt, is_the_call=False, quiet=quiet)
        except TimeoutError:
            late = RetryableFailure(reason=f"no answer within {PATIENCE:g} s", reached=False)
            self._attempt.log(f"{call.named}: {late.reason}")
            return late

    async def obstacle(self, ready: Question[Ready] | None, retry: Retry) -> Failure | None:
        """Why nothing can be started now, if so; what runs already is only followed. Raises `TemplateError`."""
        if ready is None or self._attempt.following or self._attempt.cancelling:
            return None
        answer = await self.ask(ready, self._attempt.context, quiet=True)
        if not isinstance(answer, Answer):
            return replace(answer, reason=f"not ready: {answer.reason}")
        when, error = ready.asking.when, None
        is_ready = answer.is_ok
        if when is not None:
            is_ready, error = holds(when, {**self._attempt.context, "response": answer.context})
        if is_ready:
            return None
        self._attempt.log(f"ready: {answer.shown}")
        said = f"not ready: answered {phrase(answer.status)}" + (f", and ready.when fails: {error}" if error else "")
        reason, status = printable(said), answer.status
        if status in retry.not_on:
            return PermanentFailure(reason=reason, status=status)
        return RetryableFailure(reason=reason, status=status, retry_after=answer.retry_after, reached=False)
