"""Server-sent events: the format `text/event-stream` of the WHATWG HTML standard, read as it arrives.

`id` and `retry` are about reconnecting, which would start the work again; they are read over.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")


class TooLarge(Exception):  # noqa: N818 - says what is wrong
    """More came than the budget allows; the message says of what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """One event, as it was sent."""

    name: str
    data: str


class Parser:
    """Makes events of the chunks of one stream, wherever these were cut.

    `max_event` limits the bytes that are kept of an event that is not complete yet, `max_bytes` all that comes.
    """

    def __init__(self, *, max_event: int, max_bytes: int) -> None:
        self._max_event = max_event
        self._max_bytes = max_bytes
        self._received = 0
        self._begun = False
        self._after_cr = False
        self._line = bytearray()
        self._name = ""
        self._data: list[bytes] = []
        self._kept = 0

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that end in a chunk. Raises `TooLarge`."""
        self._received += len(chunk)
        if self._received > self._max_bytes:
            raise TooLarge(f"the stream is longer than max_bytes: {self._max_bytes}")
        for line in self._lines(chunk):
            if line:
                self._take(line)
            elif event := self._complete():
                yield event
        self._check(len(self._line))

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        """A CR ends its line at once, as nothing may follow it for long; an LF after it then ends none."""
        if not chunk:
            return
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        *ends, rest = _LINE_END.split(chunk)
        for end in ends:
            line = bytes(self._line) + end
            self._line.clear()
            yield line if self._begun else line.removeprefix(_BOM)
            self._begun = True
        self._line += rest

    def _take(self, line: bytes) -> None:
        """A comment is a field without a name."""
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            self._name = value.decode(errors="replace")
        elif field == b"data":
            self._data.append(value)
            self._kept += len(value) + 1
            self._check(0)

    def _complete(self) -> ServerEvent | None:
        """What an empty line ends: an event, if any data came for it."""
        data, name = self._data, self._name or "message"
        self._data, self._name, self._kept = [], "", 0
        return ServerEvent(name=name, data=b"\n".join(data).decode(errors="replace")) if data else None

    def _check(self, unfinished: int) -> None:
        if self._kept + unfinished > self._max_event:
            raise TooLarge(f"an event is longer than max_event: {self._max_event}")
