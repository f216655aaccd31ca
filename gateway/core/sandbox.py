"""The Jinja2 environment of all templates: no way out of the data, no way to use up the machine.

Templates come from the configuration alone, yet a slip in one, or a hostile body in a good one, must not stop a
gateway. So whatever multiplies (loops, repetition, powers, padding) is bounded or missing, and the rest counts as work.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from types import MethodType
from typing import Any

from jinja2 import StrictUndefined, Undefined, UndefinedError
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import missing

from gateway.core.functions import FILTERS, FUNCTIONS, TESTS, final, replace
from gateway.core.scope import Scope, refuse_size, weight

_MAX_BASE = 10**9
_MAX_EXPONENT = 64
_SHOWN_NAMES = 12

# fmt: off
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
            return MethodType(replace, obj)
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
        _spend(context, weight(getattr(obj, "__self__", None)) + sum(map(weight, args)) + weight(result))
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


def build() -> Sandbox:
    """The one environment; templates compiled with it are safe to share."""
    sandbox = Sandbox(undefined=Missing, finalize=final, autoescape=False, keep_trailing_newline=True, cache_size=0)
    sandbox.globals.clear()
    sandbox.globals.update(FUNCTIONS)
    sandbox.filters = dict(FILTERS)
    sandbox.tests.update(TESTS)
    return sandbox
