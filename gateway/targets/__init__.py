"""Targets: the endpoints that runs call. A new kind is one file and one line here.

They know nothing of runs, stores and schedules: a target renders a call, performs it, and says what became of it.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from gateway.targets import command, http, sse
from gateway.targets.base import Settings, Target

KINDS: dict[str, type[Settings]] = {"http": http.Settings, "sse": sse.Settings, "command": command.Settings}


@asynccontextmanager
async def open_targets(settings: Mapping[str, Settings]) -> AsyncIterator[dict[str, Target]]:
    """The targets by name, with what they keep open between calls; closed at the end."""
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(section.open()) for name, section in settings.items()}
