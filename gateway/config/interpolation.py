"""`${VAR}` and its kin in the texts of a configuration.

    ${VAR}             the variable; unset, it is an error
    ${VAR:-default}    the default where the variable is unset or empty
    ${VAR-default}     the default where it is unset
    ${file:PATH}       what the file holds, without line breaks at its end
    $${                a literal ${

A default may hold further references; they are looked at only if it is needed. What is put in is never looked at again,
so that a password may hold anything. Keys are not interpolated, only values are, and the result is text whatever it
looks like: a field for a number or a boolean reads it from the text, and a token of digits keeps its leading zeros.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MAX_FILE = 2**20
MAX_DEPTH = 8
_MARK = re.compile(r"\$?\$\{|\}")
_REFERENCE = re.compile(r"file:(?P<path>[^{}]+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<operator>:?-)?", re.ASCII)


class InterpolationError(Exception):
    """A reference that is written wrongly or leads nowhere."""


@dataclass(frozen=True, slots=True)
class _Variable:
    name: str
    operator: str | None
    default: "_Parts"


@dataclass(frozen=True, slots=True)
class _File:
    path: str


_Parts = tuple[str | _Variable | _File, ...]


@dataclass(frozen=True, slots=True)
class Interpolation:
    """Where values come from: the variables, and the folder from which paths are relative."""

    environ: Mapping[str, str]
    folder: Path

    def __call__(self, text: str) -> tuple[str, bool]:
        """The text filled in, and whether any of it came from outside. Raises `InterpolationError`."""
        if "${" not in text:
            return text, False
        parts, _ = _parse(text, 0, depth=0)
        return self._fill(parts)

    def _fill(self, parts: _Parts) -> tuple[str, bool]:
        filled = [(part, False) if isinstance(part, str) else self._resolve(part) for part in parts]
        return "".join(text for text, _ in filled), any(outside for _, outside in filled)

    def _resolve(self, reference: _Variable | _File) -> tuple[str, bool]:
        if isinstance(reference, _File):
            return _content(self.folder / reference.path), True
        value = self.environ.get(reference.name)
        if reference.operator is None and value is None:
            raise InterpolationError(f"the variable {reference.name} is not set")
        if value is None or (reference.operator == ":-" and not value):
            return self._fill(reference.default)
        return value, True


def _parse(text: str, start: int, depth: int) -> tuple[_Parts, int]:
    """The parts of a text from `start` to its end or, for a default, to its closing brace; and where that is."""
    if depth > MAX_DEPTH:
        raise InterpolationError(f"more than {MAX_DEPTH} references in one another")
    parts: list[str | _Variable | _File] = []
    while mark := _MARK.search(text, start):
        parts.append(text[start : mark.start()])
        start = mark.end()
        if mark[0] == "${":
            reference, start = _reference(text, start, depth)
            parts.append(reference)
        elif mark[0] == "}" and depth:
            return tuple(parts), start
        else:
            parts.append("${" if mark[0] == "$${" else "}")
    if depth:
        raise InterpolationError("${ without its }; a literal ${ is $${")
    return (*parts, text[start:]), len(text)


def _reference(text: str, start: int, depth: int) -> tuple[_Variable | _File, int]:
    match = _REFERENCE.match(text, start)
    if not match:
        raise InterpolationError(
            "expected ${VAR}, ${VAR:-default}, ${VAR-default} or ${file:PATH}; a literal ${ is $${"
        )
    default, end = _parse(text, match.end(), depth + 1)
    if match["path"]:
        reference: _Variable | _File = _File(match["path"])
    else:
        reference = _Variable(match["name"], match["operator"], default)
    if not match["operator"] and any(default):
        raise InterpolationError("expected } after the name; a default is written ${VAR:-default}")
    return reference, end


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
        text = content.decode()
    except OSError as error:
        raise InterpolationError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise InterpolationError(f"{path} is not UTF-8") from None
    if len(content) > MAX_FILE:
        raise InterpolationError(f"{path} is larger than {MAX_FILE} bytes")
    return text.rstrip("\r\n")
