"""Strict YAML 1.2: from text to a tree with places.

The parser's events are read one by one, so that depth and aliases are bounded before anything is built from them. Plain
scalars have the types of the YAML 1.2 core schema as far as JSON knows them: `no`, `on` and `12:30` are texts, `010` is
ten. Duplicate keys and tags are errors. Texts are interpolated on the way.
"""

import codecs
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from gateway.config.interpolation import Interpolation, InterpolationError
from gateway.config.problem import Path, Place, Problem
from gateway.config.tree import Mapping, Node, Plain, Scalar, Sequence

MAX_DEPTH = 64
MAX_ALIASED = 100_000

_WORDS: dict[str, Plain] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)


class UnreadableError(Exception):
    """Something after which nothing of a file can be used."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def read(file: str, raw: bytes, interpolation: Interpolation | None, problems: list[Problem]) -> Node | None:
    """The tree of a YAML file, or `None` for an empty one; without `interpolation`, `${` is text like any other.

    What is wrong with single values is added to `problems`. Raises `UnreadableError` for a file that is no YAML, or not
    of the kind that is read here.
    """
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return _Reader(file, interpolation, problems).document(raw.decode())
    except UnicodeDecodeError as error:
        raise UnreadableError(_counted(file, raw, error.start).problem((), "not UTF-8")) from None
    except yaml.reader.ReaderError as error:
        raise UnreadableError(_counted(file, raw, error.position).problem((), f"not YAML: {error.reason}")) from None
    except yaml.MarkedYAMLError as error:
        raise UnreadableError(_place(file, error.problem_mark).problem((), f"not YAML: {error.problem}")) from None


def resolve(text: str) -> Plain:
    """The value of a plain scalar. Raises `ValueError` for a number that fits no 64 bits."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return _in_64_bits(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isfinite(number):
            return number
        raise ValueError(text)
    return text


def _in_64_bits(text: str) -> int:
    number = int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if not -(2**63) <= number < 2**64:
        raise ValueError(text)
    return number


def _place(file: str, mark: Any) -> Place:
    return Place(file, mark.line + 1, mark.column + 1)


def _counted(file: str, raw: bytes, offset: int) -> Place:
    before = raw[:offset].decode(errors="replace")
    return Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


@dataclass
class _Reader:
    file: str
    interpolation: Interpolation | None
    problems: list[Problem]
    anchors: dict[str, tuple[Node, int]] = field(default_factory=dict)
    size: int = 0
    aliased: int = 0
    events: Iterator[Any] = field(init=False)

    def document(self, text: str) -> Node | None:
        self.events = yaml.parse(text, Loader=yaml.CSafeLoader)
        next(self.events)
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return None
        node = self._node(next(self.events), ())
        next(self.events)
        if isinstance(more := next(self.events), yaml.DocumentStartEvent):
            raise self._unreadable(more, (), "a second document; a configuration is one")
        return node

    def _node(self, event: Any, path: Path) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        if len(path) > MAX_DEPTH:
            raise self._unreadable(event, (), f"nested deeper than {MAX_DEPTH} levels")
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._report(event, path, f"tags such as {tag:.40} are not used here; a text is put in quotes")
        before = self.size
        self.size += 1
        match event:
            case yaml.ScalarEvent():
                node: Node = self._scalar(event, path)
            case yaml.MappingStartEvent():
                node = self._mapping(event, path)
            case _:
                node = self._sequence(event, path)
        if event.anchor:
            self.anchors[event.anchor] = node, self.size - before
        return node

    def _alias(self, event: Any, path: Path) -> Node:
        """Counts what an alias stands for, however deep: a few lines of aliases of aliases make billions of values."""
        if event.anchor not in self.anchors:
            raise self._unreadable(event, path, f"the alias *{event.anchor} stands for nothing before it")
        node, size = self.anchors[event.anchor]
        self.size += size
        self.aliased += size
        if self.aliased > MAX_ALIASED:
            raise self._unreadable(event, path, f"aliases stand for more than {MAX_ALIASED} values")
        return node

    def _mapping(self, start: Any, path: Path) -> Mapping:
        items: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key, where = self._key(event, path), _place(self.file, event.start_mark)
            node = self._node(next(self.events), (*path, key))
            if key in items:
                self.problems.append(where.problem((*path, key), f"duplicate key, first in line {keys[key].line}"))
            else:
                items[key], keys[key] = node, where
        return Mapping(_place(self.file, start.start_mark), items, keys)

    def _key(self, event: Any, path: Path) -> str:
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None or event.anchor is not None:
            raise self._unreadable(event, path, "expected a text as key")
        return str(event.value)

    def _sequence(self, start: Any, path: Path) -> Sequence:
        items: list[Node] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return Sequence(_place(self.file, start.start_mark), tuple(items))

    def _scalar(self, event: Any, path: Path) -> Scalar:
        value: Plain = event.value
        outside = False
        try:
            if self.interpolation and "${" in event.value:
                value, outside = self.interpolation(_without_nul(event.value))
            elif event.implicit[0]:
                value = resolve(event.value)
            if isinstance(value, str):
                _without_nul(value)
        except InterpolationError as error:
            self._report(event, path, str(error))
        except ValueError:
            self._report(event, path, "a number that does not fit 64 bits; a text is put in quotes")
        return Scalar(_place(self.file, event.start_mark), value, event.value if outside else value)

    def _report(self, event: Any, path: Path, message: str) -> None:
        self.problems.append(_place(self.file, event.start_mark).problem(path, message))

    def _unreadable(self, event: Any, path: Path, message: str) -> UnreadableError:
        return UnreadableError(_place(self.file, event.start_mark).problem(path, message))


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise InterpolationError("a text cannot hold the NUL character")
    return text
