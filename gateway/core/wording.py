"""What is wrong with something that was handed in, in words for people who never heard of pydantic."""

import re
from collections.abc import Iterable
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.core.duration import format_duration
from gateway.core.name import PATTERN

MANY = 1000
"""Words among which it takes too long to look for the nearest."""

_SPAN = re.compile(r"(days|seconds|microseconds)=(-?[0-9]+)")
_MAPPING = "should be a mapping, of keys to values"
_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "unknown key",
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
    "too_short": "should have at least {min_length} in it",
    "too_long": "should have at most {max_length} in it",
    "greater_than": "should be more than {gt}",
    "greater_than_equal": "should be at least {ge}",
    "less_than_equal": "should be at most {le}",
    "value_error": "{error}",
}


def said(error: ErrorDetails) -> str:
    """What pydantic means by an error."""
    if error["type"] == "string_pattern_mismatch" and error["ctx"]["pattern"] == PATTERN:
        return "a name is made of a-z, 0-9 and -"
    context = {name: _limit(value) for name, value in error.get("ctx", {}).items()}
    if error["type"] in _WORDS:
        return _WORDS[error["type"]].format_map(context)
    return error["msg"].replace("Input should", "should").replace("String should", "should")


def wrong_fields(error: ValidationError) -> dict[str, str]:
    """All that is wrong, by the path of the field; a message that begins with the name of a field is about that."""
    found: dict[str, str] = {}
    errors = error.errors(include_url=False)
    above = {details["loc"][:depth] for details in errors for depth in range(len(details["loc"]))}
    for details in errors:
        if details["type"] == "too_short" and details["loc"] in above:
            continue  # only because of what is wrong with its items
        path, message = details["loc"], said(details)
        field, _, rest = message.partition(": ")
        if isinstance(details["input"], dict) and field in details["input"]:
            path, message = (*path, field), rest
        found.setdefault(".".join(map(str, path)), message)
    return found


def did_you_mean(word: object, words: Iterable[str]) -> str:
    """The end of a message about an unknown word: the known one that is nearest, if any is near."""
    known = list(words)
    near = get_close_matches(str(word), known, n=1, cutoff=0.7) if len(known) <= MANY else []
    return f"; did you mean {near[0]!r}?" if near else ""


def _limit(value: Any) -> Any:
    """A span of time comes here as Python writes it."""
    if not (isinstance(value, str) and value.startswith("datetime.timedelta(")):
        return value
    span = timedelta(**{unit: int(number) for unit, number in _SPAN.findall(value)})
    return format_duration(span) if span else "nothing"
