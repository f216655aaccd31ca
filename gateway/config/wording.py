"""What pydantic found wrong, in words for people who never heard of pydantic."""

import re

from pydantic_core import ErrorDetails

from gateway.config import presets
from gateway.config.json_schema import description, known_keys
from gateway.config.library import Library
from gateway.config.problem import Path
from gateway.config.tree import Mapping, Scalar, find, plain
from gateway.core.wording import did_you_mean, said

_HIDDEN = "does not fit; it is not shown, since it comes from the environment or from another file"
_QUOTED = re.compile(r"'([^']*)'")


def words(errors: list[ErrorDetails | None], path: Path, tree: Mapping, written: Mapping, library: Library) -> str:
    """The message for the errors at a path; `None` stands for one that would give away what is not to be shown."""
    messages = dict.fromkeys(_message(error, path, tree, written, library) if error else _HIDDEN for error in errors)
    known = [word for error in errors if error for word in _QUOTED.findall(_expected(error))]
    node = find(tree, path)
    is_shown = isinstance(node, Scalar) and node.value == node.shown
    return " or ".join(messages) + (did_you_mean(plain(node), known) if node and is_shown else "")


def _message(error: ErrorDetails, path: Path, tree: Mapping, written: Mapping, library: Library) -> str:
    match error["type"]:
        case "missing":
            about = description(path, tree)
            return said(error) + (f": {about}" if about else "")
        case "extra_forbidden":
            return said(error) + did_you_mean(path[-1], _expected_keys(path, tree, written, library))
        case _:
            return said(error)


def _expected(error: ErrorDetails) -> str:
    """The words that would do, in quotes."""
    context = error.get("ctx", {})
    return str(context.get("expected") or context.get("expected_tags") or "")


def _expected_keys(path: Path, tree: Mapping, written: Mapping, library: Library) -> set[str]:
    """The keys of the model, and for a source or target with a preset those that the preset asks for."""
    *above, _ = path
    return known_keys(tuple(above), tree) | presets.parameters(find(written, tuple(above)), str(path[0]), library)
