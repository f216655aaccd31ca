"""What decided an expression: the parts that its value hangs on, each with its own value."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import nodes

from gateway.core import compiling, strict_json
from gateway.core.compiling import Context
from gateway.core.errors import TemplateError
from gateway.core.notation import written
from gateway.core.template import Expression

MAX_OPERANDS = 50
MAX_SHOWN = 500
"""Characters of a value, as JSON."""
_UNTOLD = (nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Slice)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """A part of an expression; `value` is cut off where it is long, `error` says why there is none."""

    expression: str
    value: Any = None
    error: str | None = None


def operands(expression: Expression, context: Context) -> tuple[Operand, ...]:
    """The parts that decided the value of an expression, in the order in which it has them.

    Of `and` and `or` it is the side that settled the matter, or both; what was not looked at is left out.
    """
    tree = compiling.expression(compiling.parse_expression(expression.source))
    found: dict[str, Operand] = {}
    for node in _deciding(tree, context):
        text = written(node)
        if text not in found and len(found) < MAX_OPERANDS:
            found[text] = _looked_at(text, context)
    return tuple(found.values())


def shown(value: Any) -> Any:
    """A value as it is, or the beginning of what it says where that is long."""
    try:
        text = strict_json.dump(value).decode()
    except TypeError:
        return str(value)[:MAX_SHOWN].encode(errors="replace").decode()
    return value if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _looked_at(text: str, context: Context) -> Operand:
    try:  # what is long or strange enough cannot be read back
        return Operand(expression=text, value=shown(_compiled(text).evaluate(context)))
    except (TemplateError, ValueError) as error:
        return Operand(expression=text, error=str(error))


@lru_cache(maxsize=10_000)
def _compiled(text: str) -> Expression:
    return Expression(text)


def _deciding(node: nodes.Expr, context: Context) -> Iterator[nodes.Expr]:
    """The comparisons, calls and names that settle whether a condition holds, and what they are about."""
    match node:
        case nodes.Not():
            yield from _deciding(node.node, context)
        case nodes.And() | nodes.Or():
            for side in _settling(node, context):
                yield from _deciding(side, context)
        case nodes.CondExpr():
            yield from _deciding(node.test, context)
            chosen = node.expr1 if _holds(node.test, context) else node.expr2
            if chosen is not None:
                yield from _deciding(chosen, context)
        case _:
            yield node
            yield from _about(node)


def _settling(node: nodes.And | nodes.Or, context: Context) -> tuple[nodes.Expr, ...]:
    settles = isinstance(node, nodes.Or)
    for side in (node.left, node.right):
        if _holds(side, context) in (settles, None):
            return (side,)
    return node.left, node.right


def _holds(node: nodes.Expr, context: Context) -> bool | None:
    """Whether a part is true; `None` where it fails, and with it the whole."""
    try:
        return _compiled(written(node)).holds(context)
    except (TemplateError, ValueError):
        return None


def _about(node: nodes.Node) -> Iterator[nodes.Expr]:
    """The names, paths and results within a part; of a path such as `event.object.site` only the whole."""
    for child in _within(node):
        if isinstance(child, nodes.Expr) and not isinstance(child, _UNTOLD):
            yield child
        yield from _about(child)


def _within(node: nodes.Node) -> Iterable[nodes.Node]:
    if compiling.path_of(node):
        return ()
    if isinstance(node, nodes.Call):
        called = [node.node.node] if isinstance(node.node, nodes.Getattr) else []
        return [*called, *node.iter_child_nodes(exclude=("node",))]
    return node.iter_child_nodes()
