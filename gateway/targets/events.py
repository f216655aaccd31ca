"""What the events of a stream mean: how far the work has come, what it warns of, and how it ended."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.core import strict_json
from gateway.core.errors import TemplateError, Unparseable
from gateway.core.outcome import Outcome, RetryableFailure, Succeeded
from gateway.core.printable import one_line
from gateway.core.progress import Progress
from gateway.core.retry import Retry
from gateway.core.template import Expression, Tree, sees
from gateway.targets.answer import Answer, AnswerExpression, failure, succeeded
from gateway.targets.base import Attempt
from gateway.targets.request import SEEN
from gateway.targets.stream import ServerEvent

SEEN_OF_EVENT = ("name", "data")
MAX_WARNINGS = 5
MAX_SAID = 300
"""Characters of what an event says that are worth a place in a reason."""
_SHOWN = 1000
_NAME = 100
_MESSAGES = ("message", "warning", "error", "detail", "reason")

_BAD = "['error', 'failed', 'failure', 'cancelled', 'canceled', 'aborted']"
_ENDS_WELL = "name in ['complete', 'completed', 'done', 'finished', 'success', 'succeeded']"
_TELLS_OF_FAILURE = (
    "(data is mapping and (data.ok is false or data.success is false or (data.status | default('') | lower) in "
    f"{_BAD}))"
)


def _braced(value: Any) -> Any:
    """A text is an expression, as in the keys beside it; a mapping has templates."""
    return f"{{{{ {value} }}}}" if isinstance(value, str) and "{{" not in value else value


EventExpression = Annotated[Expression, sees(*SEEN_OF_EVENT)]
EventTree = Annotated[Tree, sees(*SEEN_OF_EVENT), BeforeValidator(_braced)]


class Rules(BaseModel):
    """What the configuration says about events: expressions on `name` and `data`, which is JSON where it can be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    succeeded: EventExpression = Field(
        Expression(f"{_ENDS_WELL} and not {_TELLS_OF_FAILURE}"),
        description="The event with which the work has been done; a stream that ends without one has failed.",
    )
    failed: EventExpression = Field(
        Expression(f"name in {_BAD} or {_ENDS_WELL} and {_TELLS_OF_FAILURE}"),
        description="The event with which the work has failed; asked first.",
    )
    warn: EventExpression = Field(
        Expression("name in ['warning', 'warn']"),
        description="Events that are told of beside a success; a text or list that it gives is told instead.",
    )
    progress: EventTree = Field(
        Tree("{{ data.progress if data is mapping and data.progress is defined else none }}"),
        description="Of an event: a mapping with `current`, `total`, `percent`, or some of them.",
    )
    permanent: AnswerExpression | None = Field(
        None, description="A failure for which this holds is final; `response.json` may be what an event said."
    )
    output: Annotated[Tree, sees(*SEEN, *SEEN_OF_EVENT, "response")] | None = Field(
        None, description="Of the event with which the work was done: kept with the run; 64 KiB."
    )

    @property
    def sources(self) -> list[Expression | Tree]:
        """All that is evaluated in the course of a stream."""
        rules = (self.succeeded, self.failed, self.warn, self.progress, self.permanent, self.output)
        return [source for source in rules if source is not None]


class Listener:
    """Follows one stream, event by event; `head` is the answer whose body it is."""

    def __init__(self, rules: Rules, retry: Retry, attempt: Attempt, head: Answer) -> None:
        self._rules = rules
        self._retry = retry
        self._attempt = attempt
        self._head = head
        self._warnings: list[str] = []
        self._warned = 0
        self._complained_of: set[str] = set()

    def hear(self, event: ServerEvent) -> Outcome | None:
        """What came of the work, if it ends with this event."""
        rules = self._rules
        seen = {"now": self._attempt.context["now"], "name": event.name, "data": _parsed(event.data)}
        self._attempt.log(one_line(f"{event.name}: {event.data}"[:_SHOWN]))
        if progress := Progress.told(self._ask("progress", rules.progress.render, seen)):
            self._attempt.progress(progress)
        if warning := self._ask("warn", rules.warn.evaluate, seen):
            self._keep_warnings(_warnings(warning, event, seen["data"]))
        if self._ask("failed", rules.failed.evaluate, seen):
            return self._failure(event, seen)
        if self._ask("succeeded", rules.succeeded.evaluate, seen):
            return self._success(event, seen)
        return None

    def end(self) -> Outcome:
        """What came of the work, if nothing follows any more."""
        reason = "the stream ended without an event that says how the work ended"
        self._attempt.log(reason)
        return RetryableFailure(reason=reason, status=self._head.status)

    def _ask(self, rule: str, evaluate: Callable[[Mapping[str, Any]], Any], seen: Mapping[str, Any]) -> Any:
        """What cannot be evaluated does not hold. It is told once: the next event will not have it either."""
        try:
            return evaluate(seen)
        except TemplateError as error:
            if rule not in self._complained_of:
                self._complained_of.add(rule)
                self._attempt.log(one_line(f"{rule} cannot be evaluated: {error}"))
            return None

    def _keep_warnings(self, texts: list[str]) -> None:
        self._warned += len(texts)
        self._warnings += texts[: MAX_WARNINGS - len(self._warnings)]

    def _failure(self, event: ServerEvent, seen: Mapping[str, Any]) -> Outcome:
        answer = replace(self._head, body=event.data.encode())
        problem = f"the target reported {event.name:.{_NAME}}: {said_by(event.data, seen['data'])}"
        context = {**self._attempt.context, "response": answer.context}
        return failure(
            answer, problem, permanent=self._rules.permanent, retry=self._retry, seen=context, is_success=True
        )

    def _success(self, event: ServerEvent, seen: Mapping[str, Any]) -> Succeeded:
        rule, answer = self._rules.output, replace(self._head, body=event.data.encode())
        context = {**self._attempt.context, **seen, "response": answer.context}
        outcome = succeeded(answer.status, lambda: rule.render(context) if rule else None)
        notes = [self._told_of_warnings(), outcome.reason]
        return replace(outcome, reason="; ".join(note for note in notes if note) or None)

    def _told_of_warnings(self) -> str | None:
        if not self._warned:
            return None
        rest = self._warned - len(self._warnings)
        told = [*self._warnings, f"and {rest} more"] if rest else self._warnings
        return f"succeeded with warnings: {'; '.join(told)}"


def said_by(text: str, data: Any) -> str:
    """The message of an event, on one line: the usual fields of a mapping, else all that it says."""
    fields = data if isinstance(data, dict) else {}
    messages = dict.fromkeys(value for name in _MESSAGES if isinstance(value := fields.get(name), str) and value)
    return one_line((": ".join(messages) or text)[:MAX_SAID])


def _warnings(warning: Any, event: ServerEvent, data: Any) -> list[str]:
    """What `warn` gives, where that is a text or a list; otherwise what the event says."""
    if isinstance(warning, str):
        return [said_by(warning, None)]
    if isinstance(warning, list):
        return [said_by(one if isinstance(one, str) else strict_json.dump(one).decode(), one) for one in warning]
    return [said_by(event.data, data)]


def _parsed(text: str) -> Any:
    try:
        return strict_json.parse(text.encode())
    except Unparseable:
        return text
