"""The Jinja2 environment of all templates: no way out of the data, no way to use up the machine.

Templates come from the configuration alone, yet a slip in one, or a hostile body in a good one, must not stop a
gateway. So whatever multiplies (loops, repetition, powers, padding) is bounded or missing, and the rest counts as work.
"""

import hashlib
import types
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial, wraps
from typing import Any

from jinja2 import StrictUndefined, Undefined, UndefinedError, pass_context, pass_environment
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS, make_attrgetter
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import missing

from gateway.core import strict_json
from gateway.core.scope import STEP, Scope, refuse_size, weight

MAX_RANGE = 10_000
_MAX_BASE = 10**9
_MAX_EXPONENT = 64
_SHOWN_NAMES = 12

# fmt: off
_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "int", "items",
    "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "select", "selectattr",
    "sort", "string", "title", "trim", "truncate", "unique", "upper", "urlencode",
)
_ATTRIBUTES: tuple[tuple[type, frozenset[str]], ...] = (
    (str, frozenset({
        "capitalize", "count", "endswith", "find", "index", "isalnum", "isalpha", "isdigit", "islower", "isnumeric",
        "isupper", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "rpartition", "rsplit", "rstrip",
        "split", "splitlines", "startswith", "strip", "swapcase", "title", "upper",
    })),
    (list, frozenset({"count", "index"})),
    (datetime, frozenset({
        "year", "month", "day", "hour", "minute", "second", "isoformat", "isoweekday", "weekday", "strftime",
        "timestamp",
    })),
    (LoopContext, frozenset({
        "index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem",
    })),
)
# fmt: on


class NameUndefined(UndefinedError):  # noqa: N818 - its base says Error already
    """Raised where an undefined name is used; `name` is what was looked up."""

    def __init__(self, name: Any, message: str | None = None) -> None:
        super().__init__(message)
        self.name = name


class Missing(StrictUndefined):
    """An undefined name. What is looked up in it is missing as well, and named after the first that was."""

    __slots__ = ()
    __repr__ = StrictUndefined.__str__  # else a list of undefined names could be printed

    def __init__(self, hint: str | None = None, obj: Any = missing, name: Any = None) -> None:
        super().__init__(hint, obj, name, partial(NameUndefined, name))  # type: ignore[arg-type]  # called as a type is

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        match self._undefined_obj:
            case dict() as mapping:
                names = [str(name) for name in mapping][:_SHOWN_NAMES]
                return f"is undefined; there are: {', '.join(names) or 'none'}"[:300]
            case None:
                return "is undefined: it would be in something that is null"
            case value if value is missing:
                return "is undefined"
            case value:
                return f"is undefined: a {type(value).__name__} has none"


class Sandbox(SandboxedEnvironment):
    """On mappings `.name` is the item; on everything else only the attributes listed above exist."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict):
            return obj[attribute] if attribute in obj else Missing(obj=obj, name=attribute)
        if isinstance(obj, Undefined):
            return obj
        if isinstance(obj, str) and attribute == "replace":
            return types.MethodType(_replace, obj)
        for kind, allowed in _ATTRIBUTES:
            if isinstance(obj, kind) and attribute in allowed:
                return getattr(obj, attribute)
        return Missing(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Undefined):
            return obj
        try:
            return obj[argument]
        except (LookupError, TypeError, AttributeError):
            if isinstance(argument, str) and not isinstance(obj, dict):
                return self.getattr(obj, argument)
            return Missing(obj=obj, name=argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        _OPERATOR_GUARDS[operator](left, right)
        _spend(context, weight(left) + weight(right))
        return self.binop_table[operator](left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        result = super().call(context, obj, *args, **kwargs)
        _spend(context, weight(getattr(obj, "__self__", None)) + weight(result))
        return result


def _spend(context: Context, units: int) -> None:
    if isinstance(context, Scope):
        context.spend(units)


def _guard_product(left: Any, right: Any) -> None:
    for sequence in (left, right):
        if isinstance(sequence, list | tuple | str | bytes):
            raise SecurityError("a text or list cannot be multiplied")


def _guard_power(left: Any, right: Any) -> None:
    if abs(left) > _MAX_BASE or abs(right) > _MAX_EXPONENT:
        raise SecurityError("too large a power")


def _guard_modulo(left: Any, right: Any) -> None:  # noqa: ARG001 - one signature for all guards
    if isinstance(left, str | bytes):
        raise SecurityError("% formats no text here; use ~")


def _guard_sum(left: Any, right: Any) -> None:
    refuse_size(weight(left) + weight(right))


_OPERATOR_GUARDS: dict[str, Callable[[Any, Any], None]] = {
    "*": _guard_product,
    "**": _guard_power,
    "%": _guard_modulo,
    "+": _guard_sum,
}


def _metered(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same filter or test, paid for by the size of what it is given and of what it gives."""
    passed = _PASSED[getattr(getattr(function, "jinja_pass_arg", None), "name", None)]

    @pass_context
    @wraps(function)
    def metered(scope: Scope, *args: Any, **kwargs: Any) -> Any:
        scope.spend(STEP + sum(map(weight, args)))
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
    scope.spend(weight(value))
    return value


@pass_context
def _counted(scope: Scope, values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        scope.spend(STEP)
        yield value


def _final(value: Any) -> Any:
    """What a template comes to is a value: neither undefined, nor a method somebody forgot to call, nor yet to come."""
    if isinstance(value, types.GeneratorType | reversed | range):
        value = list(value)
    _refuse_undefined(value)
    if isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            _refuse_undefined(item)
    elif callable(value):
        raise TypeError(f"{getattr(value, '__name__', 'this')} is a function: call it with ()")
    return value


def _refuse_undefined(value: Any) -> None:
    if isinstance(value, Undefined):
        str(value)  # raises, and says what is missing


def _text(parts: Iterable[Any]) -> str:
    return join(str(_final(part)) for part in parts)


def join(parts: Iterable[str]) -> str:
    """The text of all parts. Raises `SecurityError` as soon as it gets too large."""
    texts, size = [], 0
    for part in parts:
        size += len(part)
        refuse_size(size)
        texts.append(part)
    return "".join(texts)


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    refuse_size(len(text) + text.count(old) * len(new))
    return text.replace(old, new, count)


@pass_environment
def _join(sandbox: Sandbox, values: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    items = values if attribute is None else map(make_attrgetter(sandbox, attribute), values)
    texts = [str(_final(item)) for item in items]
    refuse_size(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


@pass_environment
def _sum(sandbox: Sandbox, values: Iterable[Any], attribute: str | None = None, start: float = 0) -> Any:
    if not isinstance(start, int | float):
        raise TypeError("sum adds numbers")
    return sum(values if attribute is None else map(make_attrgetter(sandbox, attribute), values), start)


def _round(number: float, precision: int = 0) -> float:
    return round(number, max(-15, min(precision, 15)))


def _range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > MAX_RANGE:
        raise SecurityError(f"a range of more than {MAX_RANGE}")
    return numbers


def _to_json(value: Any) -> str:
    text = strict_json.dump(_final(value)).decode()
    refuse_size(len(text))
    return text


def sha256(value: Any) -> str:
    """The SHA-256 of a text, or of the canonical JSON of anything else, in hex."""
    raw = value.encode() if isinstance(value, str) else strict_json.canonical(_final(value))
    return hashlib.sha256(raw).hexdigest()


def changed(before: Any, after: Any) -> list[str]:
    """The names of the items that differ between two mappings; none where there is no before or no after."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return []
    kept = before.keys() & after.keys()
    return [name for name in before | after if name not in kept or before[name] != after[name]]


def build() -> Sandbox:
    """The one environment; templates compiled with it are safe to share."""
    sandbox = Sandbox(undefined=Missing, finalize=_final, autoescape=False, keep_trailing_newline=True, cache_size=0)
    sandbox.globals.clear()
    sandbox.globals.update(range=_range, sha256=sha256, changed=changed)
    filters: dict[str, Callable[..., Any]] = {name: FILTERS[name] for name in _FILTERS}
    filters |= {"join": _join, "replace": _replace, "round": _round, "sha256": sha256, "sum": _sum, "tojson": _to_json}
    sandbox.filters = {name: _metered(function) for name, function in filters.items()}
    sandbox.filters |= {"_counted": _counted, "_final": _final, "_text": _text, "_weighed": _weighed}
    sandbox.tests["in"] = _metered(lambda value, sequence: value in sequence)
    return sandbox
