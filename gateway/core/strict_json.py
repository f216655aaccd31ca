"""JSON at the door: what passes here can be stored and sent again, on every database.

orjson refuses NaN, lone surrogates and broken UTF-8 itself. The rest is refused here because something behind the door
would choke on it: orjson serialises at most 254 levels, PostgreSQL takes no NUL, and numbers that fit no 64 bits would
change their value on the way.
"""

import re
from typing import Any

import orjson

from gateway.core.errors import Unparseable

MAX_DEPTH = 64
_CONTAINERS = (dict, list)
_MAX_DIGITS = 20  # and beyond, the sign included, it is not worth to look at the value
_SHAPE = bytes.maketrans(b"123456789:[ -\t\n\r", b"000000000,,,,,,,")
_LONG_SHAPE = b"," + b"0" * 19
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
_LONG_INTEGER = re.compile(rb"(?<![0-9.eE+-])-?[0-9]{19,}+(?![.eE])")


def parse(raw: bytes) -> Any:
    """The value of a JSON text. Raises `Unparseable`, saying what is wrong with it."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Unparseable(f"not JSON: {error}") from error
    _refuse_depth(raw, value)
    _refuse_long_integers(raw)
    _refuse_nul(raw, value)
    return value


def dump(value: Any) -> bytes:
    """The compact JSON text of a value. Raises `TypeError` where it has none."""
    return orjson.dumps(value)


def dump_strict(value: Any) -> bytes:
    """As `dump`, for a value that did not come through `parse`. Raises `Unparseable` for what cannot be stored."""
    try:
        raw = orjson.dumps(value)
    except TypeError as error:
        raise Unparseable(f"no JSON value: {error}") from error
    if rb"\u0000" in raw:
        _refuse_nul(raw, orjson.loads(raw))
    return raw


def canonical(value: Any) -> bytes:
    """The same bytes for equal values, whatever the order of their keys."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _refuse_depth(raw: bytes, value: Any) -> None:
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return
    level: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, _CONTAINERS)
        ]
    if level:
        raise Unparseable(f"nested deeper than {MAX_DEPTH} levels")


def _refuse_long_integers(raw: bytes) -> None:
    if _LONG_SHAPE not in b"," + raw.translate(_SHAPE):
        return
    for literal in _LONG_INTEGER.findall(_STRING.sub(b"", raw)):
        if len(literal) > _MAX_DIGITS or not -(2**63) <= int(literal) < 2**64:
            raise Unparseable("an integer that does not fit 64 bits")


def _refuse_nul(raw: bytes, value: Any) -> None:
    if rb"\u0000" not in raw:
        return
    if any(isinstance(text, str) and "\0" in text for text in _scalars(value)):
        raise Unparseable("a NUL character")


def _scalars(value: Any) -> Any:
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            pending.extend(node.keys())
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)
        else:
            yield node
