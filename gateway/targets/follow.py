"""Following a job that a call has started at the target, to its end.

The handle is stored before anything else happens. As long as the job may go on, every attempt follows it, whichever
node makes it; nothing is started again before it is known that the job has ended, or is gone.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from aiohttp import ClientSession

from gateway.core.errors import TemplateError
from gateway.core.outcome import Cancelled, Outcome, RetryableFailure, Succeeded
from gateway.core.progress import Progress
from gateway.core.retry import RETRY_AFTER_LIMIT, Retry
from gateway.targets.answer import Answer, Rules, failure, judge, phrase, succeeded
from gateway.targets.base import Attempt
from gateway.targets.call import HttpCall
from gateway.targets.display import printable
from gateway.targets.exchange import Failure, call_once
from gateway.targets.job import Asking, Find, Following, Poll
from gateway.targets.question import Question, Questions

CANCEL_PATIENCE = 4.0  # seconds: who cancels a run sees its call end within five
MAX_HANDLE = 64 * 1024
_GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
_NOT_RESUMABLE = {*_GONE, HTTPStatus.CONFLICT}
_NOT_KEPT = {"set-cookie"}


class Follower:
    """Starts the jobs of one target and follows them."""

    def __init__(self, poll: Poll, settings: Following, rules: Rules, retry: Retry, session: ClientSession) -> None:
        self.poll = poll
        self.rules = rules
        self.starting = Rules(success=rules.success, permanent=rules.permanent)  # the output is that of the job's end
        self.resuming = Rules(permanent=rules.permanent)
        self.retry = retry
        self.session = session
        self.state = Question(poll)
        self.find = Question(poll.find) if poll.find else None
        self.cancel = Question(settings.cancel) if settings.cancel else None
        self.resume = Question(settings.resume) if settings.resume else None

    async def perform(self, call: HttpCall, attempt: Attempt) -> Outcome:
        """Leads the run's job to its end, having started it where there is none. Raises `TemplateError`."""
        job = _Job(self, call, attempt)
        if attempt.cancelling:
            await job.cancel()
            return Cancelled()
        try:
            return await job.begin() or await job.follow()
        except asyncio.CancelledError:
            await job.leave()
            raise


@dataclass(frozen=True, slots=True)
class _Look:
    """What a look at a job has shown: its end, or that it goes on, or what kept us from seeing it."""

    outcome: Outcome | None = None
    problem: Failure | None = None
    is_gone: bool = False
    wait: timedelta = timedelta(0)


class _Job:
    """The job of one run, as one attempt sees it."""

    def __init__(self, follower: Follower, call: HttpCall, attempt: Attempt) -> None:
        self._of = follower
        self._call = call
        self._attempt = attempt
        self._questions = Questions(follower.session, call, attempt)
        self._is_new = False

    @property
    def _seen(self) -> dict[str, Any]:
        handle = self._attempt.handle
        return {**self._attempt.context, "started": handle["started"]} if handle else dict(self._attempt.context)

    async def begin(self) -> Outcome | None:
        """Sees to it that there is a job to follow; what becomes of the attempt where there is none."""
        attempt = self._attempt
        if attempt.following:
            attempt.log("following the job that an earlier attempt started")
            return None
        if attempt.handle and self._of.resume:
            return await self._begin_again(self._of.resume, attempt.handle["started"])
        return await self._find_or_start()

    async def _find_or_start(self) -> Outcome | None:
        if self._of.find and self._attempt.number > 1:
            found = await self._find(self._of.find)
            if isinstance(found, Failure):
                return replace(found, reason=f"whether its job was started already is not known: {found.reason}")
            if found is not None:
                self._attempt.log("an earlier attempt has started the job already")
                await self._keep(found)
                return None
        return await self._start()

    async def _find(self, find: Question[Find]) -> Mapping[str, Any] | Failure | None:
        """What stands for the answer that started the job, if the target knows one that is not known to have ended."""
        answer = await self._questions.ask(find, self._attempt.context)
        if not isinstance(answer, Answer):
            return answer
        if not answer.is_ok:
            return RetryableFailure(reason=f"answered {phrase(answer.status)}", status=answer.status)
        seen = {**self._attempt.context, "response": answer.context}
        try:
            found = find.asking.id.render(seen)
        except TemplateError as error:
            self._attempt.log(printable(f"no such job: {error}"))
            return None
        if found in (None, "", _id(self._attempt.handle)):
            return None
        return {"status": answer.status, "headers": {}, "json": {"id": found}, "text": ""}

    async def _start(self) -> Outcome | None:
        answer = await call_once(self._of.session, self._call, self._attempt)
        if not isinstance(answer, Answer):
            return answer
        return await self._begun_or_not(answer, self._of.starting, _kept(answer))

    async def _begun_or_not(self, answer: Answer, rules: Rules, handle: Mapping[str, Any]) -> Outcome | None:
        outcome = judge(answer, rules, self._of.retry, self._seen)
        if not isinstance(outcome, Succeeded):
            return outcome
        await self._keep(handle)
        self._is_new = True
        return None

    async def _keep(self, started: Mapping[str, Any]) -> None:
        await self._attempt.checkpoint({"started": started})

    async def _begin_again(self, resume: Question[Asking], started: Mapping[str, Any]) -> Outcome | None:
        """The job has ended as a failure: it shall go on from there, unless somebody else has seen to that."""
        look = await self._look()
        if look.problem:
            return self._given_up(look.problem, is_gone=look.is_gone)
        if isinstance(look.outcome, Succeeded):
            return look.outcome
        if look.outcome is None:
            await self._keep(started)
            return None
        answer = await self._questions.ask(resume, self._seen)
        if not isinstance(answer, Answer):
            return answer
        if answer.status in _NOT_RESUMABLE:
            self._attempt.log("the job cannot be resumed: another one is started")
            return await self._find_or_start()
        return await self._begun_or_not(answer, self._of.resuming, started)

    async def follow(self) -> Outcome:
        """Looks at the job until it has ended. Raises `TemplateError` where it cannot be asked after."""
        poll, problems = self._of.poll, 0
        if self._is_new:
            await asyncio.sleep(poll.every.total_seconds())
        while True:
            look = await self._look()
            if look.outcome:
                self._attempt.following = False
                return look.outcome
            problems = problems + 1 if look.problem else 0
            if look.problem and problems > poll.errors:
                return self._given_up(look.problem, is_gone=look.is_gone)
            await asyncio.sleep(max(poll.every, look.wait).total_seconds())

    def _given_up(self, problem: Failure, *, is_gone: bool) -> Failure:
        """The next attempt goes on following; only where the job is gone, it starts another."""
        if not is_gone:
            return problem
        self._attempt.handle, self._attempt.following = None, False
        return replace(problem, reason=f"the job is gone: {problem.reason}")

    async def _look(self) -> _Look:
        answer = await self._questions.ask(self._of.state, self._seen, quiet=True)
        if not isinstance(answer, Answer):
            return _Look(problem=answer)
        if not answer.is_ok:
            self._attempt.log(f"asked after the job: {answer.shown}")
            return self._unusable(answer, f"answered {phrase(answer.status)}")
        seen = {**self._seen, "response": answer.context}
        self._tell_progress(seen)
        try:
            return self._judge(answer, seen)
        except TemplateError as error:
            self._attempt.log(printable(f"asked after the job: {error}: {answer.shown}"))
            return self._unusable(answer, f"its state cannot be told: {error}")

    def _judge(self, answer: Answer, seen: Mapping[str, Any]) -> _Look:
        poll, rules = self._of.poll, self._of.rules
        if poll.failed is not None and poll.failed.holds(seen):
            self._attempt.log(f"the job has failed: {answer.shown}")
            return _Look(_failed(answer, self._reason(seen), rules, self._of.retry, seen))
        if poll.succeeded.holds(seen):
            self._attempt.log(f"the job has succeeded: {answer.shown}")
            return _Look(succeeded(answer.status, lambda: rules.output.render(seen) if rules.output else None))
        return _Look()

    def _reason(self, seen: Mapping[str, Any]) -> str:
        reason, failed = self._of.poll.reason, self._of.poll.failed
        if reason is not None:
            with suppress(TemplateError):
                return f"the job failed: {reason.text(seen):.500}"
        return f"the job failed: {failed.source:.200}" if failed else "the job failed"

    def _unusable(self, answer: Answer, what: str) -> _Look:
        wait = answer.retry_after
        problem = RetryableFailure(
            reason=printable(f"the job could not be asked after: {what}"), status=answer.status, retry_after=wait
        )
        is_gone = answer.status in _GONE
        return _Look(problem=problem, is_gone=is_gone, wait=min(wait or timedelta(0), RETRY_AFTER_LIMIT))

    def _tell_progress(self, seen: Mapping[str, Any]) -> None:
        if self._of.poll.progress is not None:
            with suppress(TemplateError):
                if progress := Progress.told(self._of.poll.progress.render(seen)):
                    self._attempt.progress(progress)

    async def leave(self) -> None:
        """The call is broken off: where that is because somebody cancelled the run, its job ends with it."""
        if self._attempt.cancelling and not self._attempt.at_once:
            await self.cancel()

    async def cancel(self) -> None:
        """Has the job ended at the target, where that is known and configured; the log says how it went."""
        try:
            async with asyncio.timeout(CANCEL_PATIENCE):
                await self._cancel()
        except TemplateError as error:
            self._attempt.log(printable(f"cancel: {error}"))
        except TimeoutError:
            self._attempt.log(f"cancel: no answer within {CANCEL_PATIENCE:g} s")
        if self._attempt.following:
            self._attempt.log("the job may go on at the target: that it was cancelled has not been confirmed")

    async def _cancel(self) -> None:
        attempt = self._attempt
        if self._of.find and not attempt.following:  # the call that starts it was broken off
            found = await self._find(self._of.find)
            if isinstance(found, Mapping):
                await self._keep(found)
        if not attempt.following:
            return
        if self._of.cancel is None:
            attempt.log("no `cancel` is configured")
            return
        answer = await self._questions.ask(self._of.cancel, self._seen)
        if isinstance(answer, Answer) and (answer.is_ok or answer.status in _GONE):
            attempt.following = False


def _failed(answer: Answer, reason: str, rules: Rules, retry: Retry, seen: Mapping[str, Any]) -> Outcome:
    """A job that failed may be tried again; what the expression says of its answer decides otherwise."""
    return failure(answer, reason, permanent=rules.permanent, retry=retry, seen=seen, is_success=True)


def _kept(answer: Answer) -> dict[str, Any]:
    """As much of the answer that started a job as is needed to follow it."""
    seen = answer.context
    headers = {name: value for name, value in seen["headers"].items() if name not in _NOT_KEPT}
    kept = {"status": answer.status, "headers": headers, "json": seen["json"], "text": ""}
    if len(answer.body) > MAX_HANDLE:
        return {**kept, "json": None}
    return kept if seen["json"] is not None else {**kept, "text": seen["text"]}


def _id(handle: Mapping[str, Any] | None) -> Any:
    json = handle["started"]["json"] if handle else None
    return json.get("id") if isinstance(json, dict) else None
