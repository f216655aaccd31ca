"""What senders ask before they send: whether somebody is there, and whether they may."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gateway.core.compiling import Context
from gateway.core.errors import Rejected, TemplateError, Unmappable
from gateway.core.rate import RequestRate
from gateway.core.template import Expression, Template, sees

_ORIGIN = re.compile(r"[A-Za-z0-9.:/_-]{1,253}", re.ASCII)


class Challenge(BaseModel):
    """A question that is answered before anything is verified: senders ask it to learn whom they talk to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: Annotated[Expression, sees("body", "headers", "query", "raw")] = Field(description="Holds for the question.")
    reply: Annotated[Template, sees("body", "headers", "query", "raw")] = Field(description="The text of the answer.")

    def answer(self, context: Context) -> str | None:
        """The answer, if this is the question: what `when` cannot be told of is none. Raises `Unmappable`."""
        try:
            if not self.when.holds(context):
                return None
        except TemplateError:
            return None
        try:
            return self.reply.text(context)
        except TemplateError as error:
            raise Unmappable(f"challenge.reply: {error}") from error


def permission(headers: Mapping[str, str], rate: RequestRate | None) -> dict[str, str]:
    """The answer to a sender of CloudEvents who asks whether it may send (HTTP 1.1 Web Hooks, section 4).

    Raises `Rejected` for an origin that is no name.
    """
    origin = headers.get("WebHook-Request-Origin", "")
    if not _ORIGIN.fullmatch(origin):
        raise Rejected("WebHook-Request-Origin is missing, or no name")
    per_minute = str(max(1, rate.requests * 60 // rate.seconds)) if rate else "*"
    return {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": per_minute}
