"""What templates can call: the filters, and the functions.

All are paid for by the size of what they are given and give; those of Jinja's own that could multiply are missing, or
replaced by one that knows a limit.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

from jinja2 import Environment, Undefined, pass_context, pass_environment
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS as JINJA
from jinja2.filters import make_attrgetter

from gateway.core import strict_json
from gateway.core.scope import STEP, Scope, refuse_size, weight

MAX_RANGE = 10_000

_SCALARS = frozenset({str, int, float, bool, type(None)})
_COLLECTIONS = (list, tuple, dict)

# fmt: off
_PLAIN = (
    "abs", "capitalize", "count", "d", "default", "first", "float", "int", "items", "last", "length", "list", "lower",
    "reverse", "string", "title", "trim", "truncate", "upper", "urlencode",
)
_OF_ITEMS = (
    "dictsort", "groupby", "map", "max", "min", "reject", "rejectattr", "select", "selectattr", "sort", "unique",
)
# fmt: on


def _metered(function: Callable[..., Any], *, per_item: int = 1) -> Callable[..., Any]:
    """The same filter or test, paid for by the size of what it is given and of what it gives."""
    passed = _PASSED[getattr(getattr(function, "jinja_pass_arg", None), "name", None)]

    @pass_context
    @wraps(function)
    def metered(scope: Scope, *args: Any, **kwargs: Any) -> Any:
        scope.spend(STEP + per_item * sum(map(weight, args)))
        result = function(*passed(scope), *args, **kwargs)
        scope.spend(weight(result))
        return result

    return metered


_PASSED: dict[str | None, Callable[[Scope], tuple[Any, ...]]] = {
    None: lambda _: (),
    "context": lambda scope: (scope,),
    "eval_context": lambda scope: (scope.eval_ctx,),
    "environment": lambda scope: (scope.environment,),
}


@pass_context
def _weighed(scope: Scope, value: Any) -> Any:
    scope.spend(2 * weight(value))  # to compare takes longer than to copy
    return value


@pass_context
def _counted(scope: Scope, values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        scope.spend(STEP)
        yield value


def final(value: Any) -> Any:
    """What a template comes to is a value: neither undefined, nor a method somebody forgot to call, nor yet to come."""
    if type(value) in _SCALARS:
        return value
    if isinstance(value, Undefined):
        return str(value)  # raises, and says what is missing; only an `if` without `else` is the empty text
    if isinstance(value, range) or hasattr(value, "__next__"):
        value = list(value)
    if isinstance(value, _COLLECTIONS):
        _refuse_undefined(value.values() if isinstance(value, dict) else value)
    elif callable(value):
        raise TypeError(f"{getattr(value, '__name__', 'this')} is a function: call it with ()")
    return value


def _refuse_undefined(items: Iterable[Any]) -> None:
    for item in items:
        if isinstance(item, Undefined):
            str(item)


def _text(parts: Iterable[Any]) -> str:
    texts = [part if type(part) is str else str(final(part)) for part in parts]
    refuse_size(sum(map(len, texts)))
    return "".join(texts)


def join(parts: Iterable[str]) -> str:
    """The text of all parts. Raises `SecurityError` as soon as it gets too large."""
    texts, size = [], 0
    for part in parts:
        size += len(part)
        refuse_size(size)
        texts.append(part)
    return "".join(texts)


def replace(text: str, old: str, new: str, count: int = -1) -> str:
    refuse_size(len(text) + text.count(old) * len(new))
    return text.replace(old, new, count)


@pass_environment
def _join(environment: Environment, values: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    items = values if attribute is None else map(make_attrgetter(environment, attribute), values)
    texts = [str(final(item)) for item in items]
    refuse_size(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


@pass_environment
def _sum(environment: Environment, values: Iterable[Any], attribute: str | None = None, start: float = 0) -> Any:
    if not isinstance(start, int | float):
        raise TypeError("sum adds numbers")
    return sum(values if attribute is None else map(make_attrgetter(environment, attribute), values), start)


def _round(number: float, precision: int = 0) -> float:
    return round(number, max(-15, min(precision, 15)))


def _range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > MAX_RANGE:
        raise SecurityError(f"a range of more than {MAX_RANGE}")
    return numbers


def _to_json(value: Any) -> str:
    text = strict_json.dump(final(value)).decode()
    refuse_size(len(text))
    return text


@pass_context
def _sha256(scope: Scope, value: Any) -> str:
    """The SHA-256 of a text, or of the canonical JSON of anything else, in hex."""
    raw = value.encode() if isinstance(value, str) else strict_json.canonical(final(value))
    scope.spend(len(raw))
    return hashlib.sha256(raw).hexdigest()


def changed(before: Any, after: Any, *ignored: str) -> list[str]:
    """The names of the items that differ between two mappings; none where there is no before or no after."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return []
    kept = before.keys() & after.keys()
    differing = [name for name in before | after if name not in kept or before[name] != after[name]]
    return [name for name in differing if name not in ignored]


_OWN: dict[str, Callable[..., Any]] = {
    "join": _join,
    "replace": replace,
    "round": _round,
    "sha256": _sha256,
    "sum": _sum,
    "tojson": _to_json,
}
_INTERNAL: dict[str, Callable[..., Any]] = {
    "_counted": _counted,
    "_final": final,
    "_text": _text,
    "_weighed": _weighed,
}

FILTERS: dict[str, Callable[..., Any]] = {
    **{name: _metered(JINJA[name]) for name in _PLAIN},
    **{name: _metered(JINJA[name], per_item=STEP) for name in _OF_ITEMS},
    **{name: _metered(function) for name, function in _OWN.items()},
    **_INTERNAL,
}
TESTS: dict[str, Callable[..., Any]] = {"in": _metered(lambda value, sequence: value in sequence)}
FUNCTIONS: dict[str, Callable[..., Any]] = {"range": _range, "sha256": _sha256, "changed": changed}
