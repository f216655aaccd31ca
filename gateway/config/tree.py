"""A configuration as it is written: values that remember their places.

Reading, including, overriding and presets work on this tree; only then is it validated. Its parts are never changed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.config.problem import Path, Place

_SCHEME = "scheme"
Plain = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value. `shown` is what may be shown of it: what is written, where a part of it came from outside."""

    place: Place
    value: Plain
    shown: Plain


@dataclass(frozen=True, slots=True)
class Mapping:
    place: Place
    items: "dict[str, Node]" = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)

    def having(self, key: str, place: Place, node: "Node") -> "Mapping":
        """A copy with one more or one other item."""
        return replace(self, items={**self.items, key: node}, keys={**self.keys, key: place})

    def lacking(self, *names: str) -> "Mapping":
        """A copy without some items."""
        return replace(self, items={key: node for key, node in self.items.items() if key not in names})


@dataclass(frozen=True, slots=True)
class Sequence:
    place: Place
    items: "tuple[Node, ...]" = ()


Node = Scalar | Mapping | Sequence


def plant(value: Any, place: Place) -> Node:
    """The tree of a plain value; all of it is said to stand in one place."""
    match value:
        case dict():
            return Mapping(place, {key: plant(item, place) for key, item in value.items()}, dict.fromkeys(value, place))
        case list():
            return Sequence(place, tuple(plant(item, place) for item in value))
        case _:
            return Scalar(place, value, value)


def plain(node: Node, *, shown: bool = False) -> Any:
    """The plain value of a tree; with `shown` what may be shown of it."""
    match node:
        case Mapping():
            return {key: plain(item, shown=shown) for key, item in node.items.items()}
        case Sequence():
            return [plain(item, shown=shown) for item in node.items]
        case Scalar():
            return node.shown if shown else node.value


def child(node: Node | None, step: str | int) -> Node | None:
    match node, step:
        case Mapping(), str():
            return node.items.get(step)
        case Sequence(), int() if 0 <= step < len(node.items):
            return node.items[step]
        case _:
            return None


def find(node: Node | None, path: Path) -> Node | None:
    """What stands at a path, if anything does."""
    for step in path:
        node = child(node, step)
    return node


def place(node: Node, path: Path) -> Place:
    """Where to point for a path, or for as much of it as exists: at a value, or at the key of several."""
    found = node.place
    for step in path:
        below = child(node, step)
        if below is None:
            break
        key = node.keys.get(str(step)) if isinstance(node, Mapping) else None
        found = below.place if isinstance(below, Scalar) or key is None else key
        node = below
    return found


def key_place(node: Node, path: Path) -> Place:
    """Where the last key of a path stands."""
    above = find(node, path[:-1])
    return above.keys[str(path[-1])] if isinstance(above, Mapping) else place(node, path)


def without(node: Mapping, path: Path) -> Mapping:
    """A copy without what stands at a path; of lists, which go by position, the whole is left out."""
    key, below = str(path[0]), node.items.get(str(path[0]))
    if len(path) > 1 and isinstance(below, Mapping):
        return node.having(key, node.keys[key], without(below, path[1:]))
    return node.lacking(key)


def merged(under: Node, over: Node) -> Node:
    """Two trees in one: mappings item by item, of everything else the one that is over the other."""
    if not isinstance(under, Mapping) or not isinstance(over, Mapping) or _is_another(under, over):
        return over
    both = {key: merged(under.items[key], node) for key, node in over.items.items() if key in under.items}
    return Mapping(under.place, {**under.items, **over.items, **both}, {**under.keys, **over.keys})


def scalars(node: Node) -> Iterator[Scalar]:
    """All single values, in order."""
    match node:
        case Mapping(items=items):
            for item in items.values():
                yield from scalars(item)
        case Sequence(items=several):
            for item in several:
                yield from scalars(item)
        case Scalar():
            yield node


def _is_another(under: Mapping, over: Mapping) -> bool:
    """Whether they are of two schemes: what belongs to one means nothing to the other."""
    one, other = child(under, _SCHEME), child(over, _SCHEME)
    return one is not None and other is not None and plain(one) != plain(other)
