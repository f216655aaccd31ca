"""What a body would come to, by a configuration alone: without a gateway, a database or a signature."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import orjson

from gateway.cli.failure import Exit, Failure
from gateway.cli.posting import over, sample_headers, section_of
from gateway.config import Loaded
from gateway.core.errors import Rejected, TemplateError
from gateway.core.event import Event
from gateway.core.printable import one_line
from gateway.runtime.explain import explain_alone
from gateway.runtime.snapshot import Snapshot
from gateway.sources import configured
from gateway.sources.imitate import unsigned
from gateway.sources.incoming import Incoming
from gateway.sources.message import Message
from gateway.sources.queue import QueueSource
from gateway.targets import open_targets


def explain_body(
    loaded: Loaded, source: str, body: bytes, headers: Mapping[str, str], properties: Mapping[str, str]
) -> list[dict[str, Any]]:
    """For each event that a source makes of a body, what the API would say if there were no other runs.

    Headers go over those that the sender of the source's preset sends; properties are those of a message of a queue.
    Raises `Failure`.
    """
    now = datetime.now(UTC)  # noqa: TID251 - there is no other clock here
    try:
        events = _events(loaded, source, body, headers, properties, now)
    except (Rejected, TemplateError, ValueError) as error:
        raise Failure(f"The source {source} makes no event of it: {one_line(str(error))}", Exit.USAGE) from error
    return asyncio.run(_explain(loaded, events, now))


def _events(  # noqa: PLR0917 - what a message is made of
    loaded: Loaded, name: str, body: bytes, headers: Mapping[str, str], properties: Mapping[str, str], now: datetime
) -> list[Event]:
    source = configured(name, section_of(loaded, name))
    if isinstance(source, QueueSource):
        message = Message.published(source.settings.queue, body, headers, properties)
        return [source.reader.read(message, now, loaded.config.server.max_body)]
    if properties:
        raise ValueError("only messages of queues have properties")
    sample = unsigned(sample_headers(loaded, name, source.settings), body, now)
    incoming = Incoming(method=source.settings.methods[0], headers=over(sample, headers), query={}, raw=body, remote="")
    return [event for event in source.mapped(incoming, now).events if event is not None]


async def _explain(loaded: Loaded, events: list[Event], now: datetime) -> list[dict[str, Any]]:
    async with snapshot_of(loaded) as snapshot:
        explained = [explain_alone(snapshot, event, now) for event in events]
    return [orjson.loads(orjson.dumps(one, option=orjson.OPT_UTC_Z)) for one in explained]


@asynccontextmanager
async def snapshot_of(loaded: Loaded) -> AsyncIterator[Snapshot]:
    """As much of a configuration as it takes to plan."""
    config = loaded.config
    async with open_targets(config.targets) as targets:
        yield Snapshot(hash=loaded.hash, sources={}, triggers=config.triggers, targets=targets, windows=config.windows)
