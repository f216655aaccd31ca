"""Single values from the environment: `GATEWAY__SCHEDULES__NIGHTLY__CRON` is `schedules.nightly.cron`.

Names are in capitals, with `_` for `-`; the items of a list go by their number, from 0. An override replaces a value,
or adds one that the file leaves out, but makes no source, target or other named thing.
"""

from collections.abc import Collection
from collections.abc import Mapping as Environment
from dataclasses import replace

from gateway.config.problem import Path, Place, Problem
from gateway.config.reader import resolve
from gateway.config.tree import Mapping, Node, Plain, Scalar, Sequence
from gateway.core.wording import did_you_mean

PREFIX = "GATEWAY__"


class _UnknownError(Exception):
    """There is nothing that could be overridden."""


def override(tree: Mapping, environ: Environment[str, str], named: Collection[str], problems: list[Problem]) -> Mapping:
    """The tree with the overrides of the environment in it; `named` are the sections that hold named things."""
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        steps = tuple(variable.removeprefix(PREFIX).lower().split("__"))
        override = _Override(Place(variable), environ[variable], named)
        try:
            tree = override.mapping(tree, (), steps)
        except _UnknownError as unknown:
            problems.append(Place(variable).problem((), str(unknown)))
    return tree


class _Override:
    """One variable on its way down to the value that it replaces."""

    def __init__(self, place: Place, text: str, named: Collection[str]) -> None:
        self._place = place
        self._text = text
        self._named = named

    def mapping(self, node: Mapping, path: Path, steps: tuple[str, ...]) -> Mapping:
        key = next((key for key in node.items if _spelt(key) == steps[0]), steps[0])
        below = node.items.get(key)
        if not key:
            raise _UnknownError("expected names with two underscores between them, as in GATEWAY__SERVER__PORT")
        if below is None and len(path) == 1 and path[0] in self._named:
            raise _UnknownError(f"{'.'.join(map(str, path))} has no {key!r}{did_you_mean(key, node.items)}")
        place = node.keys[key] if isinstance(below, Mapping | Sequence) else self._place
        return node.having(key, place, self._node(below, (*path, key), steps[1:]))

    def _node(self, node: Node | None, path: Path, steps: tuple[str, ...]) -> Node:
        if not steps:
            return self._scalar(node)
        match node:
            case None | Scalar(value=None):
                return self.mapping(Mapping(self._place), path, steps)
            case Mapping():
                return self.mapping(node, path, steps)
            case Sequence():
                return self._sequence(node, path, steps)
            case _:
                raise _UnknownError(f"{'.'.join(map(str, path))} is a single value: it has no {steps[0]!r}")

    def _sequence(self, node: Sequence, path: Path, steps: tuple[str, ...]) -> Sequence:
        number = int(steps[0]) if steps[0].isdecimal() else -1
        if not 0 <= number < len(node.items):
            raise _UnknownError(f"{'.'.join(map(str, path))} has no item {steps[0]!r}; its first one is 0")
        item = self._node(node.items[number], (*path, number), steps[1:])
        return replace(node, items=(*node.items[:number], item, *node.items[number + 1 :]))

    def _scalar(self, node: Node | None) -> Scalar:
        if isinstance(node, Mapping | Sequence):
            raise _UnknownError("only single values can be overridden, and this is none")
        return Scalar(self._place, self._like(node), f"${self._place.file}")

    def _like(self, node: Scalar | None) -> Plain:
        """The text; instead of a number or boolean that which it is written as, for where any value will do."""
        if node is None or isinstance(node.value, str):
            return self._text
        try:
            return resolve(self._text)
        except ValueError:
            return self._text


def _spelt(key: str) -> str:
    return key.lower().replace("-", "_")
