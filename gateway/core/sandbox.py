"""The Jinja2 environment of all templates: no way out of the data, no way to use up the machine.

Templates come from the configuration alone, yet a slip in one must not stop a gateway. So whatever multiplies (loops,
repetition, powers, padding) is bounded or missing, and what remains takes time in proportion to its data.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from jinja2 import StrictUndefined, nodes, pass_context
from jinja2.filters import FILTERS
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import SandboxedEnvironment, SecurityError

from gateway.core import strict_json

MAX_TEXT = 2**20
MAX_ITERATIONS = 10_000
MAX_LOOP_DEPTH = 3
BUDGET = "_iterations_left"

_FILTERS = (
    "abs bool capitalize count d default dictsort first float groupby int items last length list lower map max min "
    "reject rejectattr reverse select selectattr sort string sum title trim truncate unique upper urlencode"
).split()
_STATEMENTS = (nodes.Output, nodes.If, nodes.For)
_STR_METHODS = frozenset(
    "capitalize count endswith find index isalnum isalpha isdigit islower isnumeric isupper lower lstrip partition "
    "removeprefix removesuffix rpartition rsplit rstrip split splitlines startswith strip swapcase title upper".split()
)
_ATTRIBUTES: tuple[tuple[type, frozenset[str]], ...] = (
    (str, _STR_METHODS),
    (list, frozenset({"count", "index"})),
    (datetime, frozenset("year month day hour minute second isoformat isoweekday weekday strftime timestamp".split())),
    (LoopContext, frozenset("index index0 revindex revindex0 first last length previtem nextitem".split())),
)


class Sandbox(SandboxedEnvironment):
    """On mappings `.name` is the item; on everything else only the attributes listed above exist."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        if isinstance(obj, str) and attribute == "replace":
            return partial(_replace, obj)
        for kind, allowed in _ATTRIBUTES:
            if isinstance(obj, kind) and attribute in allowed:
                return getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        try:
            return obj[argument]
        except (LookupError, TypeError, AttributeError):
            if isinstance(argument, str) and not isinstance(obj, dict):
                return self.getattr(obj, argument)
            return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ARG002 - Jinja's hook
        _OPERATOR_GUARDS[operator](left, right)
        return self.binop_table[operator](left, right)


def refuse_statements(tree: nodes.Template) -> None:
    """Raises `ValueError` for statements other than `if` and (shallow) `for`: the others bind, import or recurse."""
    for statement in tree.find_all(nodes.Stmt):
        if not isinstance(statement, _STATEMENTS):
            raise ValueError(f"line {statement.lineno}: only if and for are allowed, not {type(statement).__name__.lower()}")  # fmt: skip
        if isinstance(statement, nodes.For) and (statement.recursive or _depth(statement) > MAX_LOOP_DEPTH):
            raise ValueError(f"line {statement.lineno}: loops are nested more than {MAX_LOOP_DEPTH} deep")


def count_iterations(tree: nodes.Template) -> None:
    """Makes every loop of a template draw on one budget of iterations."""
    for loop in tree.find_all(nodes.For):
        loop.iter = nodes.Filter(loop.iter, "_counted", [], [], None, None, lineno=loop.lineno)


def bound_concatenations(tree: nodes.Template) -> None:
    """Makes every `~` check the size of what it builds."""
    for parent in [tree, *tree.find_all(nodes.Node)]:
        for field, value in list(parent.iter_fields()):
            if isinstance(value, nodes.Concat):
                setattr(parent, field, _joined(value))
            elif isinstance(value, list):
                value[:] = [_joined(item) if isinstance(item, nodes.Concat) else item for item in value]


def _joined(concat: nodes.Concat) -> nodes.Filter:
    return nodes.Filter(nodes.List(concat.nodes, lineno=1), "_joined", [], [], None, None, lineno=concat.lineno)


def _depth(loop: nodes.Node) -> int:
    return 1 + max((_depth(inner) for inner in loop.find_all(nodes.For)), default=0)


def _guard_product(left: Any, right: Any) -> None:
    for sequence in (left, right):
        if isinstance(sequence, list | tuple | str | bytes):
            raise SecurityError("a text or list cannot be multiplied")


def _guard_power(left: Any, right: Any) -> None:
    if abs(left) > 10**9 or abs(right) > 64:  # noqa: PLR2004 - stays within a few machine words
        raise SecurityError("too large a power")


def _guard_modulo(left: Any, right: Any) -> None:  # noqa: ARG001 - one signature for all guards
    if isinstance(left, str | bytes):
        raise SecurityError("% formats no text here; use ~")


def _guard_sum(left: Any, right: Any) -> None:
    if isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
        _guard_size(len(left) + len(right))


_OPERATOR_GUARDS: dict[str, Callable[[Any, Any], None]] = {
    "*": _guard_product,
    "**": _guard_power,
    "%": _guard_modulo,
    "+": _guard_sum,
}


def _guard_size(size: int) -> None:
    if size > MAX_TEXT:
        raise SecurityError(f"more than {MAX_TEXT} characters")


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    _guard_size(len(text) + text.count(old) * len(new))
    return text.replace(old, new, count)


def _join(values: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    parts = [str(value if attribute is None else value[attribute]) for value in values]
    _guard_size(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def _defined(value: Any) -> Any:
    if isinstance(value, StrictUndefined):
        str(value)  # raises, and says what is missing
    return value


def _text(parts: Iterable[Any]) -> str:
    return "".join(map(str, parts))


def _round(number: float, precision: int = 0) -> float:
    return round(number, max(-15, min(precision, 15)))


def _range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > MAX_ITERATIONS:
        raise SecurityError(f"a range of more than {MAX_ITERATIONS}")
    return numbers


def _to_json(value: Any) -> str:
    return strict_json.dump(value).decode()


def sha256(value: Any) -> str:
    """The SHA-256 of a text, or of the canonical JSON of anything else, in hex."""
    raw = value.encode() if isinstance(value, str) else strict_json.canonical(value)
    return hashlib.sha256(raw).hexdigest()


def changed(before: Any, after: Any) -> list[str]:
    """The names of the items that differ between two mappings; none where there is no before or no after."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return []
    kept = before.keys() & after.keys()
    return [name for name in before | after if name not in kept or before[name] != after[name]]


@pass_context
def _counted(context: Context, values: Iterable[Any]) -> Iterator[Any]:
    budget: list[int] = context[BUDGET]
    for value in values.items() if isinstance(values, Mapping) else values:
        budget[0] -= 1
        if budget[0] < 0:
            raise SecurityError(f"more than {MAX_ITERATIONS} iterations")
        yield value


def build() -> Sandbox:
    """The one environment; templates compiled with it are safe to share."""
    sandbox = Sandbox(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, cache_size=0)
    sandbox.globals.clear()
    sandbox.globals.update(range=_range, sha256=sha256, changed=changed)
    sandbox.filters = {name: FILTERS[name] for name in _FILTERS if name in FILTERS} | {
        "join": _join,
        "replace": _replace,
        "round": _round,
        "tojson": _to_json,
        "sha256": sha256,
        "_counted": _counted,
        "_defined": _defined,
        "_text": _text,
        "_joined": _join,
    }
    return sandbox
