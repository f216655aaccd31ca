"""From the tree to the model: everything that is wrong with it, in words and with its place.

What is sound is kept even where other parts are not, so that the checks across sections can go on with it. Messages are
made from what is written in the file: values from the environment are never in them.
"""

from collections.abc import Iterator
from functools import reduce
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.config.faults import KEY, Faults, faults
from gateway.config.library import Library
from gateway.config.model import NAMED, Config
from gateway.config.problem import Path, Place, Problem
from gateway.config.reader import resolve
from gateway.config.tree import Mapping, Node, Scalar, Sequence, find, key_place, place, plain, without
from gateway.config.wording import words

Broken = frozenset[Path]


def validate(tree: Mapping, written: Mapping, library: Library, problems: list[Problem]) -> tuple[Config, Broken]:
    """The model of what is sound, and the paths that are left out because they are not.

    `tree` has its presets written out, `written` is what the user wrote. A place with a problem gets no second one.
    """
    try:
        config, broken = Config.model_validate(plain(tree)), frozenset[Path]()
    except ValidationError as error:
        found = faults(error, tree)
        known = {(problem.file, problem.line, problem.column) for problem in problems}
        more = _problems(found, tree, written, library)
        problems.extend(problem for problem in more if (problem.file, problem.line, problem.column) not in known)
        config, broken = _sound_part(tree, frozenset(found))
    problems.extend(_misread(config, tree, ()))
    return config, broken


def _sound_part(tree: Mapping, broken: Broken) -> tuple[Config, Broken]:
    """What remains without the faulty values, and then without the entries and sections that cannot do without them."""
    while True:
        sound = reduce(without, broken, tree)
        try:
            return Config.model_validate(plain(sound)), broken
        except ValidationError as error:
            broken |= {path[: 2 if path[0] in NAMED else 1] for path in faults(error, sound)}


def _problems(found: Faults, tree: Mapping, written: Mapping, library: Library) -> Iterator[Problem]:
    shown = _as_shown(tree)
    for path, errors in found.items():
        node = find(tree, path)
        if node is not None and plain(node) != plain(node, shown=True):
            said = [_counterpart(error, shown.get(path, [])) for error in errors]
        else:
            said = list(errors)
        yield _pointed_at(errors[0], path, tree).problem(path, words(said, path, tree, written, library))


def _as_shown(tree: Mapping) -> Faults:
    """The errors of the configuration as it may be shown, in which the values from outside are only referred to."""
    try:
        Config.model_validate(plain(tree, shown=True))
    except ValidationError as error:
        return faults(error, tree)
    return {}


def _counterpart(error: ErrorDetails, shown: list[ErrorDetails]) -> ErrorDetails | None:
    return next((other for other in shown if (other["loc"], other["type"]) == (error["loc"], error["type"])), None)


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
