"""Runs commands as the gateway does."""

from typing import Any

from gateway.core.outcome import Outcome
from tests.targets.calling import Attempt, attempt, call, configured


async def ran(given: Attempt | None = None, *, payload: Any = None, **keys: Any) -> Outcome:
    given = given or attempt(payload)
    async with configured("command", **keys).open() as target:
        return await call(target, given)


async def said_by(script: str, **keys: Any) -> list[str]:
    """The lines of a shell script, without those that the gateway adds."""
    given = attempt()
    await ran(given, argv=["sh", "-c", script], **keys)
    return "\n".join(given.lines).splitlines()[1:-1]
