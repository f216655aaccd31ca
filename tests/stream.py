"""Reads server-sent events as their reader does, and no more of them than it asks for."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson


@dataclass(frozen=True, slots=True)
class Sent:
    name: str
    data: str
    id: str | None

    @property
    def json(self) -> Any:
        return orjson.loads(self.data)


async def sent(response: aiohttp.ClientResponse) -> AsyncIterator[Sent]:
    """The events of a stream; comments come as events named `:`."""
    fields: dict[str, list[str]] = {}
    async for line in response.content:
        text = line.decode().removesuffix("\n")
        name, _, value = text.partition(":")
        if text == ":":
            yield Sent(":", "", None)
        elif text:
            fields.setdefault(name, []).append(value.removeprefix(" "))
        elif "data" in fields:
            yield Sent(fields["event"][0], "\n".join(fields["data"]), fields.get("id", [None])[0])
            fields = {}
