"""From the tree of an expression back to its text, so that a part of it can be named and evaluated by itself."""

from functools import singledispatch

from jinja2 import nodes

_BINARY: dict[type[nodes.Expr], str] = {
    nodes.Add: "+",
    nodes.Sub: "-",
    nodes.Mul: "*",
    nodes.Div: "/",
    nodes.FloorDiv: "//",
    nodes.Mod: "%",
    nodes.Pow: "**",
    nodes.And: "and",
    nodes.Or: "or",
}
_COMPARISONS = {
    "eq": "==",
    "ne": "!=",
    "gt": ">",
    "gteq": ">=",
    "lt": "<",
    "lteq": "<=",
    "in": "in",
    "notin": "not in",
}
_UNARY: dict[type[nodes.Expr], str] = {nodes.Not: "not ", nodes.Neg: "-", nodes.Pos: "+"}
_CLOSED = (
    *(nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem, nodes.Call),
    *(nodes.List, nodes.Tuple, nodes.Dict),
)
_LOOSE = (nodes.BinExpr, nodes.UnaryExpr, nodes.CondExpr)


@singledispatch
def written(node: nodes.Node) -> str:
    """The text of an expression, with brackets wherever somebody could read it otherwise."""
    raise ValueError(f"{type(node).__name__} is no part of an expression")


@written.register
def _(node: nodes.Name) -> str:
    return str(node.name)


@written.register
def _(node: nodes.Const) -> str:
    return repr(node.value)


@written.register
def _(node: nodes.Getattr) -> str:
    return f"{_closed(node.node)}.{node.attr}"


@written.register
def _(node: nodes.Getitem) -> str:
    return f"{_closed(node.node)}[{written(node.arg)}]"


@written.register
def _(node: nodes.Slice) -> str:
    start, stop, step = ("" if bound is None else written(bound) for bound in (node.start, node.stop, node.step))
    return f"{start}:{stop}" + (f":{step}" if step else "")


@written.register
def _(node: nodes.Call) -> str:
    return f"{_closed(node.node)}({_arguments(node)})"


@written.register
def _(node: nodes.Filter) -> str:
    return _applied(node, "|")


@written.register
def _(node: nodes.Test) -> str:
    return _applied(node, "is")


@written.register
def _(node: nodes.List) -> str:
    return f"[{', '.join(map(written, node.items))}]"


@written.register
def _(node: nodes.Tuple) -> str:
    items = ", ".join(map(written, node.items))
    return f"({items},)" if len(node.items) == 1 else f"({items})"


@written.register
def _(node: nodes.Dict) -> str:
    return "{" + ", ".join(f"{written(pair.key)}: {written(pair.value)}" for pair in node.items) + "}"


@written.register
def _(node: nodes.Compare) -> str:
    pairs = (f" {_COMPARISONS[operand.op]} {_operand(operand.expr)}" for operand in node.ops)
    return _operand(node.expr) + "".join(pairs)


@written.register(nodes.And)
@written.register(nodes.Or)
def _(node: nodes.And | nodes.Or) -> str:
    return f"{_alternative(node, node.left)} {_BINARY[type(node)]} {_alternative(node, node.right)}"


@written.register
def _(node: nodes.BinExpr) -> str:
    return f"{_operand(node.left)} {_BINARY[type(node)]} {_operand(node.right)}"


@written.register
def _(node: nodes.UnaryExpr) -> str:
    if isinstance(node.node, nodes.Test) and isinstance(node, nodes.Not):
        return _applied(node.node, "is not")
    return f"{_UNARY[type(node)]}{_closed(node.node)}"


@written.register
def _(node: nodes.Concat) -> str:
    return " ~ ".join(map(_operand, node.nodes))


@written.register
def _(node: nodes.CondExpr) -> str:
    otherwise = "" if node.expr2 is None else f" else {_operand(node.expr2)}"
    return f"{_operand(node.expr1)} if {_operand(node.test)}{otherwise}"


def _closed(node: nodes.Node) -> str:
    return written(node) if isinstance(node, _CLOSED) else f"({written(node)})"


def _operand(node: nodes.Node) -> str:
    return written(node) if isinstance(node, (*_CLOSED, nodes.Filter)) else f"({written(node)})"


def _alternative(parent: nodes.BinExpr, node: nodes.Expr) -> str:
    """A side of `and` or `or`, which bind looser than most; `a and b and c` is read from the left."""
    is_chain = type(node) is type(parent) and node is parent.left
    return f"({written(node)})" if isinstance(node, _LOOSE) and not is_chain else written(node)


def _applied(node: nodes.Filter | nodes.Test, mark: str) -> str:
    subject = "" if node.node is None else _operand(node.node)
    arguments = _arguments(node)
    return f"{subject} {mark} {node.name}" + (f"({arguments})" if arguments else "")


def _arguments(node: nodes.Call | nodes.Filter | nodes.Test) -> str:
    given = [*map(written, node.args), *(f"{pair.key}={written(pair.value)}" for pair in node.kwargs)]
    more = [(node.dyn_args, "*"), (node.dyn_kwargs, "**")]
    return ", ".join([*given, *(f"{mark}{written(value)}" for value, mark in more if value is not None)])
