"""From the source of a template to a function of what it sees: what is refused, what is counted, what is said on error.

Everything here happens when a configuration is read, except for calling what came out of it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from jinja2 import TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables
from jinja2.nodes import EvalContext

from gateway.core.errors import TemplateError
from gateway.core.functions import FUNCTIONS, join
from gateway.core.sandbox import NameUndefined, build
from gateway.core.scope import Scope

Context = Mapping[str, Any]

MAX_SOURCE = 16 * 1024
MAX_DEPTH = 60
MAX_LOOP_DEPTH = 3

_SANDBOX = build()
_EVAL_CONTEXT = EvalContext(_SANDBOX)
_STATEMENTS = (nodes.Output, nodes.If, nodes.For)
_LOOKUPS = (nodes.Getattr, nodes.Getitem)


def parse(source: str) -> nodes.Template:
    """The tree of a template. Raises `ValueError` where it is broken, or does what none may do."""
    if len(source) > MAX_SOURCE:
        raise ValueError(f"longer than {MAX_SOURCE} characters")
    try:
        tree = _SANDBOX.parse(source)
    except TemplateSyntaxError as error:
        raise ValueError(f"line {error.lineno}: {error.message}") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    _refuse_depth(tree)
    _refuse_statements(tree)
    return tree


def parse_expression(source: str) -> nodes.Template:
    """The tree of a template that is one expression, which `source` has without braces. Raises `ValueError`."""
    tree = parse("{{ (" + source + "\n) }}")
    found = parts(tree)
    if not is_expression(tree) or len(found) != 1 or isinstance(found[0], nodes.Tuple):
        raise ValueError(f"expected one expression without braces, got {source!r:.60}")
    return tree


def undeclared(tree: nodes.Template) -> frozenset[str]:
    """The names a template expects to be given. Raises `ValueError` for what shows only when code is made.

    That is an unknown filter or test, and a name that is undefined in a constant, such as `''.nope ~ 'a'`.
    """
    try:
        return frozenset(find_undeclared_variables(tree)) - FUNCTIONS.keys()
    except TemplateSyntaxError as error:
        raise ValueError(f"line {error.lineno}: {error.message}") from error
    except NameUndefined as error:
        raise ValueError(_message(error, {})) from error


def is_expression(tree: nodes.Template) -> bool:
    """Whether a template consists of texts and `{{ }}` alone."""
    return all(isinstance(output, nodes.Output) for output in tree.body)


def parts(tree: nodes.Template) -> list[nodes.Expr]:
    """The texts and values that a template without statements puts together."""
    return [part for output in tree.body if isinstance(output, nodes.Output) for part in output.nodes]


def expression(tree: nodes.Template) -> nodes.Expr:
    """What a template without statements comes to: its only value, or the text of all its parts."""
    all_parts = parts(tree)
    if len(all_parts) == 1 and not isinstance(all_parts[0], nodes.TemplateData):
        return all_parts[0]
    literals = [nodes.Const(part.data) if isinstance(part, nodes.TemplateData) else part for part in all_parts]
    return _filtered(nodes.List(literals, lineno=1), "_text")


def compile_values(expressions: Mapping[str, nodes.Expr]) -> Callable[[Context], dict[str, Any]]:
    """As Jinja's own `compile_expression`, for parts of templates, for several at once, and with errors of ours."""
    assignments = [_assignment(f"_{i}", value) for i, value in enumerate(expressions.values())]
    labels = _labels(expressions.values())
    run = _compile(nodes.Template(assignments, lineno=1))
    names = list(expressions)

    def evaluate(context: Context) -> dict[str, Any]:
        scope = Scope(_SANDBOX, _EVAL_CONTEXT, context)
        try:
            for _ in run(scope):
                pass
        except Exception as error:  # a template can raise anything its data can
            broken = names[len(scope.vars)]
            message = _message(error, labels)
            raise TemplateError(f"{broken}: {message}" if broken else message) from error
        return dict(zip(names, scope.vars.values(), strict=True))

    return evaluate


def compile_value(value: nodes.Expr) -> Callable[[Context], Any]:
    """A function from what an expression sees to what it comes to."""
    values = compile_values({"": value})
    return lambda context: values(context)[""]


def compile_statements(tree: nodes.Template) -> Callable[[Context], str]:
    """A function from what a template with statements sees to its text."""
    labels = _labels(tree.body)
    _count_loops(tree)
    run = _compile(tree)

    def render(context: Context) -> str:
        try:
            return join(run(Scope(_SANDBOX, _EVAL_CONTEXT, context)))
        except Exception as error:
            raise TemplateError(_message(error, labels)) from error

    return render


def _compile(tree: nodes.Template) -> Callable[[Scope], Iterator[str]]:
    _weigh(tree)
    return cast("Callable[[Scope], Iterator[str]]", _SANDBOX.from_string(tree).root_render_func)


def _assignment(name: str, value: nodes.Expr) -> nodes.Assign:
    return nodes.Assign(nodes.Name(name, "store", lineno=1), _filtered(value, "_final"), lineno=1)


def _filtered(value: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(value, name, [], [], None, None, lineno=value.lineno)


def _refuse_depth(tree: nodes.Template) -> None:
    level: list[nodes.Node] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in node.iter_child_nodes()]
    if level:
        raise ValueError("nested too deeply")


def _refuse_statements(node: nodes.Node, loops: int = 0) -> None:
    """Only `if` and shallow `for` are allowed: the others bind, import or recurse."""
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Stmt) and not isinstance(child, _STATEMENTS):
            name = type(child).__name__.lower().replace("assign", "set")
            raise ValueError(f"line {child.lineno or node.lineno}: only if and for are allowed, not {name}")  # noqa: TRY004 - its type is its syntax
        if isinstance(child, nodes.Name) and child.name == "self":
            raise ValueError(f"line {child.lineno}: there is no self")
        if isinstance(child, nodes.For) and (child.recursive or loops == MAX_LOOP_DEPTH):
            raise ValueError(f"line {child.lineno}: loops are recursive, or nested more than {MAX_LOOP_DEPTH} deep")
        _refuse_statements(child, loops + isinstance(child, nodes.For))


def _count_loops(tree: nodes.Template) -> None:
    """Makes every pass of a loop, and the comparisons in it, count as work."""
    for loop in list(tree.find_all(nodes.For)):
        loop.iter = _filtered(loop.iter, "_counted")
        for comparison in loop.find_all(nodes.Compare):
            for operand in comparison.ops:
                operand.expr = _filtered(operand.expr, "_weighed")


def _weigh(tree: nodes.Template) -> None:
    """Makes every `~` check the size of what it builds, and every slice count as work."""
    for parent in [tree, *tree.find_all(nodes.Node)]:
        if isinstance(parent, nodes.Getitem) and isinstance(parent.arg, nodes.Slice):
            parent.node = _filtered(parent.node, "_weighed")
        for field, value in list(parent.iter_fields()):
            if isinstance(value, nodes.Concat):
                setattr(parent, field, _joined(value))
            elif isinstance(value, list):
                value[:] = [_joined(item) if isinstance(item, nodes.Concat) else item for item in value]


def _joined(concat: nodes.Concat) -> nodes.Filter:
    return _filtered(nodes.List(concat.nodes, lineno=concat.lineno), "join")


def _labels(trees: Iterable[nodes.Node]) -> dict[Any, str]:
    """For the last name of each path in a template, such as `slug`, the path, where there is but one."""
    found: dict[Any, set[str]] = {}
    for node in (node for tree in trees for node in [tree, *tree.find_all(_LOOKUPS)]):
        if path := path_of(node):
            found.setdefault(path[-1], set()).add(".".join(map(str, path)))
    return {name: paths.pop() for name, paths in found.items() if len(paths) == 1}


def path_of(node: nodes.Node) -> list[Any]:
    """The names of `event.object["site"]`, or nothing for what is no such path."""
    match node:
        case nodes.Name():
            return [node.name]
        case nodes.Getattr() if path := path_of(node.node):
            return [*path, node.attr]
        case nodes.Getitem(arg=nodes.Const() as name) if path := path_of(node.node):
            return [*path, name.value]
        case _:
            return []


def _message(error: Exception, labels: dict[Any, str]) -> str:
    text = str(error) or type(error).__name__
    if isinstance(error, NameUndefined):
        text = f"{labels.get(error.name, error.name)} {text}"
    return text[:500]
