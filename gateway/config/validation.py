"""From the tree to the model: everything that is wrong with it, in words and with its place.

What is sound is kept even where other parts are not, so that the checks across sections can go on with it. Messages are
made from what is written in the file: values from the environment are never in them.
"""

from collections.abc import Iterator
from functools import reduce
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.config.model import NAMED, Config
from gateway.config.problem import Path, Place, Problem
from gateway.config.reader import resolve
from gateway.config.tree import Mapping, Node, Scalar, Sequence, child, find, key_place, place, plain, without
from gateway.config.wording import KEY, words

Broken = frozenset[Path]
_Faults = dict[Path, list[ErrorDetails]]
"""Errors by path; more than one where the branches of a union all have something to say."""


def validate(tree: Mapping, written: Mapping, problems: list[Problem]) -> tuple[Config, Broken]:
    """The model of what is sound, and the paths that are left out because they are not.

    `tree` has its presets written out, `written` is what the user wrote. A place with a problem gets no second one.
    """
    try:
        config, broken = Config.model_validate(plain(tree)), frozenset[Path]()
    except ValidationError as error:
        faults = _faults(error, tree)
        known = {(problem.file, problem.line, problem.column) for problem in problems}
        found = _problems(faults, tree, written)
        problems.extend(problem for problem in found if (problem.file, problem.line, problem.column) not in known)
        config, broken = _sound_part(tree, frozenset(faults))
    problems.extend(_misread(config, tree, ()))
    return config, broken


def _sound_part(tree: Mapping, broken: Broken) -> tuple[Config, Broken]:
    """What remains without the faulty values, and then without the entries and sections that cannot do without them."""
    while True:
        sound = reduce(without, broken, tree)
        try:
            return Config.model_validate(plain(sound)), broken
        except ValidationError as error:
            broken |= {path[: 2 if path[0] in NAMED else 1] for path in _faults(error, sound)}


def _faults(error: ValidationError, tree: Mapping) -> _Faults:
    faults: _Faults = {}
    for details in error.errors(include_url=False, include_input=False):
        faults.setdefault(_path(details, tree), []).append(details)
    return faults


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
        case _:
            return path


def _problems(faults: _Faults, tree: Mapping, written: Mapping) -> Iterator[Problem]:
    shown = _as_shown(tree)
    for path, errors in faults.items():
        if all(_is_other_branch(error, path, faults) for error in errors):
            continue
        node = find(tree, path)
        is_open = node is None or plain(node) == plain(node, shown=True)
        said = (error if is_open else shown.get((error["loc"], error["type"])) for error in errors)
        yield _pointed_at(errors[0], path, tree).problem(path, words(list(said), path, tree, written))


def _as_shown(tree: Mapping) -> dict[tuple[Any, str], ErrorDetails]:
    """The errors of the configuration as it may be shown, in which the values from outside are only referred to."""
    try:
        Config.model_validate(plain(tree, shown=True))
    except ValidationError as error:
        return {(error["loc"], error["type"]): error for error in error.errors(include_url=False, include_input=False)}
    return {}


def _is_other_branch(error: ErrorDetails, path: Path, faults: _Faults) -> bool:
    """Whether it is about a branch of a union that is not meant: another one took the value, and found fault below."""
    is_about_a_branch = len(error["loc"]) > len(path) and error["loc"][-1] != KEY
    return is_about_a_branch and any(len(other) > len(path) and other[: len(path)] == path for other in faults)


def _pointed_at(error: ErrorDetails, path: Path, tree: Mapping) -> Place:
    is_about_key = error["type"] == "extra_forbidden" or error["loc"][-1] == KEY
    return key_place(tree, path) if is_about_key else place(tree, path)


def _misread(value: Any, node: Node | None, path: Path) -> Iterator[Problem]:
    """Where pydantic was more generous than YAML 1.2: `no` is not false, and true is no number."""
    match value, node:
        case bool(), Scalar() if not isinstance(node.value, bool) and not _is_boolean(node.value):
            yield node.place.problem(path, "should be true or false")
        case ((int() | float()), Scalar(value=bool())) if not isinstance(value, bool):
            yield node.place.problem(path, "should be a number")
        case BaseModel(), Mapping():
            for name, field in type(value).model_fields.items():
                key = field.alias or name
                yield from _misread(getattr(value, name), node.items.get(key), (*path, key))
        case dict(), Mapping():
            for key, item in value.items():
                yield from _misread(item, node.items.get(key), (*path, key))
        case ((list() | tuple()), Sequence()):
            for index, (item, below) in enumerate(zip(value, node.items, strict=False)):
                yield from _misread(item, below, (*path, index))


def _is_boolean(value: Any) -> bool:
    return isinstance(value, str) and isinstance(resolve(value), bool)
