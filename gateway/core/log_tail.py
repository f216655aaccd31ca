"""The end of a log that may go on for ever."""

from collections import deque

MAX_LINES = 1000
MAX_CHARACTERS = 256 * 1024
"""Line breaks count."""
MAX_LINE = 4096
"""Characters; longer lines are broken."""


class LogTail:
    """Keeps the last lines, a thousand and 256 KiB at most; `said` is the number of all lines there ever were."""

    def __init__(self) -> None:
        self.said = 0
        self._kept: deque[str] = deque(maxlen=MAX_LINES)
        self._size = 0  # at most so much

    def add(self, text: str) -> None:
        lines = text.splitlines()
        if len(text) > MAX_LINE and max(map(len, lines)) > MAX_LINE:
            lines = [piece for line in lines for piece in _pieces(line)]
        self.said += len(lines)
        self._kept.extend(lines)
        self._size += len(text) + len(lines)
        if self._size > 2 * MAX_CHARACTERS:
            self._trim()

    def lines(self, since: int = 0) -> list[str]:
        """All lines that are kept but for the first `since` that were said."""
        self._trim()
        kept = list(self._kept)
        return kept[max(0, since - self.dropped) :]

    @property
    def dropped(self) -> int:
        """How many lines came before those that are kept."""
        self._trim()
        return self.said - len(self._kept)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _trim(self) -> None:
        if self._size > MAX_CHARACTERS:
            self._size = sum(map(len, self._kept)) + len(self._kept)
            while self._size > MAX_CHARACTERS:
                self._size -= len(self._kept.popleft()) + 1


def _pieces(line: str) -> list[str]:
    return [line[start : start + MAX_LINE] for start in range(0, len(line), MAX_LINE)] or [line]
