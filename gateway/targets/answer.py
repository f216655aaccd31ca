"""What a target answered, and what that means for the attempt."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.core import strict_json
from gateway.core.errors import TemplateError, Unparseable
from gateway.core.outcome import Outcome, PermanentFailure, RetryableFailure, Succeeded
from gateway.core.retry import Retry
from gateway.core.template import Expression, Tree, sees
from gateway.targets import retry_after
from gateway.targets.display import printable
from gateway.targets.request import SEEN

MAX_OUTPUT = 64 * 1024
SHOWN = 2048
"""Bytes of a body that are worth a place in the log."""

_STATUS = re.compile(r"[1-5]xx|[1-5][0-9]{2}")
_RETRYABLE = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


def _statuses(value: Any) -> Any:
    patterns = [str(one).lower() for one in (value if isinstance(value, list | tuple) else [value])]
    for pattern in patterns:
        if not _STATUS.fullmatch(pattern):
            raise ValueError(f"expected a status such as 204 or 2xx, got {pattern!r:.40}")
    if not patterns:
        raise ValueError("expected at least one status")
    return patterns


AnswerExpression = Annotated[Expression, sees(*SEEN, "response")]
AnswerTree = Annotated[Tree, sees(*SEEN, "response")]
Statuses = Annotated[tuple[str, ...], BeforeValidator(_statuses, json_schema_input_type=str | int | list[str | int])]


class Success(BaseModel):
    """What a success looks like: one of these statuses, and the expression holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Statuses = Field(("2xx",), description="Statuses such as 404, or classes such as 2xx.")
    when: AnswerExpression | None = Field(None, description="Must hold too; sees `response`.")

    def includes(self, status: int) -> bool:
        return str(status) in self.status or f"{status // 100}xx" in self.status


class Rules(BaseModel):
    """What the configuration says about answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    success: Success = Success()
    permanent: AnswerExpression | None = Field(None, description="A failed answer for which this holds is final.")
    output: AnswerTree | None = Field(None, description="Kept with the run, handed to chained triggers; 64 KiB.")

    @property
    def expressions(self) -> list[Expression | Tree]:
        """All that looks into an answer."""
        return [source for source in (self.success.when, self.permanent, self.output) if source is not None]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An HTTP response that was read as far as the budget goes; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool
    seconds: float

    @property
    def is_ok(self) -> bool:
        """Whether its status is one of 2xx."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def retry_after(self) -> timedelta | None:
        """How long the target wants to be left alone, if it says so."""
        return retry_after.parse(self.headers.get("retry-after"), datetime.fromtimestamp(time.time(), UTC))

    @cached_property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    @cached_property
    def context(self) -> dict[str, Any]:
        """What expressions see as `response`; `json` is `None` where the body is none."""
        return {"status": self.status, "headers": self.headers, "json": self._json(), "text": self.text}

    def _json(self) -> Any:
        try:
            return strict_json.parse(self.body)
        except Unparseable:
            return None

    @property
    def shown(self) -> str:
        """For the log: the status, the time it took, and the head of the body."""
        head = printable(self.body[:SHOWN].decode(errors="replace"))
        rest = "\n… and more" if self.cut or len(self.body) > SHOWN else ""
        return f"{phrase(self.status)} after {self.seconds:.3f} s\n{head}{rest}"


def judge(answer: Answer, rules: Rules, retry: Retry, context: Mapping[str, Any]) -> Outcome:
    """What an answer means: it is a failure if its status is no success or `when` does not hold."""
    seen = {**context, "response": answer.context} if rules.expressions else context
    problem = _problem(answer, rules.success, seen)
    if problem is None:
        return succeeded(answer.status, lambda: rules.output.render(seen) if rules.output else None)
    is_success = rules.success.includes(answer.status)
    return failure(answer, problem, permanent=rules.permanent, retry=retry, seen=seen, is_success=is_success)


def failure(
    answer: Answer,
    problem: str,
    *,
    permanent: Expression | None,
    retry: Retry,
    seen: Mapping[str, Any],
    is_success: bool,
) -> Outcome:
    """What an answer with a problem means, `is_success` if its status is none.

    Which kind of failure it is say, in this order: `permanent`, `retry.not_on`, `retry.on`, the status. What cannot be
    evaluated does not hold.
    """
    is_final, error = holds(permanent, seen)
    notes = [problem, "the answer was too long and has been cut" if answer.cut else None]
    notes.append(f"permanent cannot be evaluated: {error}" if error else None)
    reason = printable("; ".join(note for note in notes if note))
    if is_final or _is_permanent(answer.status, retry, is_success=is_success):
        return PermanentFailure(reason=reason, status=answer.status)
    return RetryableFailure(
        reason=reason,
        status=answer.status,
        retry_after=answer.retry_after,
        reached=not _is_overload(answer.status),
    )


def _problem(answer: Answer, success: Success, seen: Mapping[str, Any]) -> str | None:
    said = f"answered {phrase(answer.status)}"
    if not success.includes(answer.status):
        return said
    if success.when is None:
        return None
    met, error = holds(success.when, seen)
    if error:
        return f"{said}, but success.when cannot be evaluated: {error}"
    return None if met else f"{said}, but this does not hold: {success.when.source:.200}"


def holds(expression: Expression | None, seen: Mapping[str, Any]) -> tuple[bool, TemplateError | None]:
    """Whether it is true, and what is wrong with it; what cannot be evaluated does not hold."""
    try:
        return expression is not None and expression.holds(seen), None
    except TemplateError as error:
        return False, error


def _is_permanent(status: int, retry: Retry, *, is_success: bool) -> bool:
    if status in retry.not_on:
        return True
    if status in retry.on or is_success:
        return False
    return status not in _RETRYABLE and not _is_server_error(status)


def _is_overload(status: int) -> bool:
    """Whether it means that the target as a whole is in trouble: its breaker counts that as not reached."""
    return status == HTTPStatus.TOO_MANY_REQUESTS or _is_server_error(status)


def _is_server_error(status: int) -> bool:
    return HTTPStatus.INTERNAL_SERVER_ERROR <= status < HTTPStatus.INTERNAL_SERVER_ERROR + 100


def succeeded(status: int, output: Callable[[], Any]) -> Succeeded:
    """The work is done, so an output that cannot be kept is no failure: that would do it again."""
    try:
        return Succeeded(status=status, output=_storable(output()))
    except (TemplateError, TypeError, Unparseable) as error:
        return Succeeded(status=status, reason=printable(f"its output was not kept: {error}"))


def _storable(output: Any) -> Any:
    raw = strict_json.dump(output)
    if len(raw) > MAX_OUTPUT:
        raise TemplateError(f"{len(raw)} bytes, and the limit is {MAX_OUTPUT}")
    return strict_json.parse(raw)


def phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
