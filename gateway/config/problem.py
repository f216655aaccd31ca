"""What is wrong with a configuration, and where."""

from collections.abc import Iterable
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""The way from the top of the file to a value: keys, and positions in lists."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct. Line and column count from 1; an environment variable has neither.

    The message never holds a value that came from the environment or from a `${file:}`.
    """

    file: str
    line: int | None
    column: int | None
    path: str
    message: str

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return ": ".join(part for part in (where, self.path, self.message) if part)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written: in a file, or in the environment variable that `file` names."""

    file: str
    line: int | None = None
    column: int | None = None

    def problem(self, path: Path, message: str) -> Problem:
        return Problem(self.file, self.line, self.column, dotted(path), message)

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


class ConfigurationError(Exception):
    """A configuration that cannot be used; `problems` are all that were found, in the order of the files."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = in_order(problems)
        super().__init__("\n".join(map(str, self.problems)))


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Each problem once, from top to bottom."""
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.line or 0, problem.column or 0))


def dotted(path: Path) -> str:
    return ".".join(map(str, path))
