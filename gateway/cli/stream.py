"""Server-sent events as a gateway sends them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

import orjson

STREAM = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    data: str
    id: str | None

    @property
    def json(self) -> dict[str, Any]:
        """Its data. Raises `ValueError` unless that is an object."""
        value = orjson.loads(self.data)
        if not isinstance(value, dict):
            raise ValueError("no object")  # noqa: TRY004 - what a parser raises
        return value


def read_events(response: HTTPResponse, before_reading: Callable[[], None]) -> Iterator[Event | None]:
    """The events of a stream, and `None` for a comment, until it ends or nothing comes for too long."""
    fields: dict[str, list[str]] = {}
    while line := _line(response, before_reading):
        name, _, value = line.rstrip("\n").partition(":")
        if name:
            fields.setdefault(name, []).append(value.removeprefix(" "))
        elif value or line != "\n":
            yield None
        elif "data" in fields:
            yield Event(fields.get("event", ["message"])[-1], "\n".join(fields["data"]), fields.get("id", [None])[-1])
            fields = {}


def _line(response: HTTPResponse, before_reading: Callable[[], None]) -> str:
    """Empty at the end, whatever that is."""
    before_reading()
    try:
        return response.readline().decode(errors="replace")
    except TimeoutError:
        return ""
