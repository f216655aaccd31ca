"""Pydantic's errors, each with the path in the tree that it is about."""

from collections.abc import Iterator

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.config.problem import Path
from gateway.config.tree import Mapping, Node, Sequence, child

KEY = "[key]"
"""What ends the location of an error that is about a key, not about its value."""

Faults = dict[Path, list[ErrorDetails]]
"""More than one at a path where the branches of a union all have something to say."""


def faults(error: ValidationError, tree: Mapping) -> Faults:
    """All errors, except for those about branches of a union that are not meant."""
    found: Faults = {}
    for details in error.errors(include_url=False, include_input=False):
        found.setdefault(_path(details, tree), []).append(details)
    return {path: errors for path, errors in found.items() if not _are_of_other_branches(errors, path, found)}


def _path(details: ErrorDetails, tree: Mapping) -> Path:
    """The location of an error without the names that pydantic gives to the branches of unions."""
    node: Node | None = tree
    path: Path = ()
    for step in details["loc"]:
        below = child(node, step)
        if below is not None:
            path, node = (*path, step), below
    match details["type"]:
        case "missing":
            return (*path, details["loc"][-1])
        case "union_tag_invalid":
            return (*path, details["ctx"]["discriminator"].strip("'"))
        case "value_error":
            return path + _named_below(details, node)
        case _:
            return path


def _named_below(details: ErrorDetails, node: Node | None) -> Path:
    """The path with which a message begins, taken out of it: to pydantic, a tree of templates is a single value."""
    message = str(details["ctx"]["error"])
    below = {said: path for said, path in _below(node) if message.startswith(f"{said}: ")}
    said = max(below, key=len, default="")
    details["ctx"]["error"] = message.removeprefix(f"{said}: ")
    return below.get(said, ())


def _below(node: Node | None, said: str = "", path: Path = ()) -> Iterator[tuple[str, Path]]:
    steps: list[tuple[str, str | int, Node]] = []
    if isinstance(node, Mapping):
        steps = [(f"{said}.{key}".lstrip("."), key, item) for key, item in node.items.items()]
    elif isinstance(node, Sequence):
        steps = [(f"{said}[{i}]", i, item) for i, item in enumerate(node.items)]
    for name, step, item in steps:
        yield name, (*path, step)
        yield from _below(item, name, (*path, step))


def _are_of_other_branches(errors: list[ErrorDetails], path: Path, found: Faults) -> bool:
    """Whether another branch took the value, and found fault below."""
    are_of_branches = all(len(error["loc"]) > len(path) and error["loc"][-1] != KEY for error in errors)
    return are_of_branches and any(len(other) > len(path) and other[: len(path)] == path for other in found)
