"""How a command ended, and what that means for the attempt."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from gateway.core import strict_json
from gateway.core.errors import TemplateError, Unparseable
from gateway.core.outcome import Outcome, PermanentFailure, RetryableFailure
from gateway.core.retry import Retry
from gateway.targets.answer import MAX_OUTPUT, AnswerExpression, AnswerTree, holds, succeeded
from gateway.targets.display import printable

ExitCode = Annotated[int, Field(ge=0, le=255)]


class Rules(BaseModel):
    """What the configuration says about ends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    success: tuple[ExitCode, ...] = Field((0,), min_length=1, description="Exit codes that are a success.")
    permanent: AnswerExpression | None = Field(None, description="A failure for which this holds is final.")
    output: AnswerTree | None = Field(
        None, description="Kept with the run instead of what the command wrote to GATEWAY_OUTPUT; 64 KiB."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """The exit code, negative for a signal; the end of what it said; and what it wrote to `GATEWAY_OUTPUT`."""

    code: int
    said: str
    written: bytes

    @property
    def status(self) -> int:
        """The exit code; as in shells, 128 and more for a signal."""
        return self.code if self.code >= 0 else 128 - self.code

    @property
    def phrase(self) -> str:
        return f"exited with {self.code}" if self.code >= 0 else f"was ended by {_name(-self.code)}"

    @property
    def context(self) -> dict[str, Any]:
        """What expressions see as `response`; `json` is `None` where nothing was written that is JSON."""
        return {"status": self.status, "text": self.said, "json": self._json()}

    def output(self) -> Any:
        """What was written, `None` if nothing was. Raises `Unparseable`, and `TemplateError` for too much of it."""
        if len(self.written) > MAX_OUTPUT:
            raise TemplateError(f"more than {MAX_OUTPUT} bytes were written to GATEWAY_OUTPUT")
        return strict_json.parse(self.written) if self.written.strip() else None

    def _json(self) -> Any:
        try:
            return self.output()
        except (TemplateError, Unparseable):
            return None


def judge(end: Exit, rules: Rules, retry: Retry, context: Mapping[str, Any]) -> Outcome:
    """What an end means: where it is no success, `permanent` and `retry.not_on` say whether that is final."""
    seen = {**context, "response": end.context}
    if end.status in rules.success:
        return succeeded(end.status, lambda: rules.output.render(seen) if rules.output else end.output())
    permanent, error = holds(rules.permanent, seen)
    note = f"; permanent cannot be evaluated: {error}" if error else ""
    failure = PermanentFailure if permanent or end.status in retry.not_on else RetryableFailure
    return failure(reason=printable(end.phrase + note), status=end.status)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
