"""What pydantic found wrong, in words for people who never heard of pydantic."""

import re
from datetime import timedelta
from typing import Any

from pydantic_core import ErrorDetails

from gateway.config import presets
from gateway.config.faults import KEY
from gateway.config.json_schema import description, known_keys
from gateway.config.problem import Path, did_you_mean
from gateway.config.tree import Mapping, Scalar, find, plain

_HIDDEN = "does not fit; it is not shown, since it comes from the environment or from another file"
_QUOTED = re.compile(r"'([^']*)'")
_MAPPING = "should be a mapping, of keys to values"
_WORDS = {
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dict_type": _MAPPING,
    "tuple_type": "should be a list",
    "string_type": "should be a text; what looks like none is put in quotes",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "union_tag_not_found": "is missing its {discriminator}",
    "union_tag_invalid": "should be one of {expected_tags}",
    "greater_than": "should be more than {gt}",
    "greater_than_equal": "should be at least {ge}",
    "less_than_equal": "should be at most {le}",
}


def words(errors: list[ErrorDetails | None], path: Path, tree: Mapping, written: Mapping) -> str:
    """The message for the errors at a path; `None` stands for one that would give away what is not to be shown."""
    messages = dict.fromkeys(_message(error, path, tree, written) if error else _HIDDEN for error in errors)
    known = [word for error in errors if error for word in _QUOTED.findall(_expected(error))]
    node = find(tree, path)
    is_shown = isinstance(node, Scalar) and node.value == node.shown
    return " or ".join(messages) + (did_you_mean(plain(node), known) if node and is_shown else "")


def _message(error: ErrorDetails, path: Path, tree: Mapping, written: Mapping) -> str:
    context = {name: _limit(value) for name, value in error.get("ctx", {}).items()}
    match error["type"]:
        case "missing":
            about = description(path, tree)
            return "is missing" + (f": {about}" if about else "")
        case "extra_forbidden":
            return "unknown key" + did_you_mean(path[-1], _expected_keys(path, tree, written))
        case "string_pattern_mismatch" if error["loc"][-1] == KEY:
            return "a name is made of a-z, 0-9 and -"
        case "value_error":
            return str(context["error"])
        case kind if kind in _WORDS:
            return _WORDS[kind].format_map(context)
        case _:
            return error["msg"].replace("Input should", "should").replace("String should", "should")


def _limit(value: Any) -> Any:
    return "nothing" if value == repr(timedelta(0)) else value


def _expected(error: ErrorDetails) -> str:
    """The words that would do, in quotes."""
    context = error.get("ctx", {})
    return str(context.get("expected") or context.get("expected_tags") or "")


def _expected_keys(path: Path, tree: Mapping, written: Mapping) -> set[str]:
    """The keys of the model, and for a source or target with a preset those that the preset asks for."""
    *above, _ = path
    return known_keys(tuple(above), tree) | presets.parameters(find(written, tuple(above)), str(path[0]))
