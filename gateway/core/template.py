"""Templates and expressions of the configuration: Jinja2, compiled when the file is read.

A `Template` is a text with `{{ }}` in it; one that is a single `{{ }}` keeps the type of its value. An `Expression` has
no braces. A `Tree` is a JSON-like value with templates for its texts. Undefined names are errors, everywhere.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, cast

from jinja2 import TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables
from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from gateway.core import sandbox
from gateway.core.errors import TemplateError

Context = Mapping[str, Any]
MAX_SOURCE = 16 * 1024

_SANDBOX = sandbox.build()


class _Source:
    """What templates, expressions and trees have in common: they stand in the file, and know the names they use."""

    source: Any
    names: frozenset[str]
    json_schema: ClassVar[dict[str, Any]] = {"type": "string"}

    def __init__(self, source: Any) -> None:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.source == other.source  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(repr(self.source))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source!r})"

    @classmethod
    def _parse(cls, source: Any) -> "_Source":
        return source if isinstance(source, cls) else cls(source)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._parse, serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value.source)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return dict(cls.json_schema)


class Expression(_Source):
    """A Jinja2 expression, such as `'status' in event.changed`. Raises `ValueError` where its syntax is broken."""

    def __init__(self, source: Any) -> None:
        if not isinstance(source, str):
            raise ValueError(f"expected an expression, got {source!r:.60}")  # noqa: TRY004 - pydantic reports ValueError
        self.source = source
        tree = _parse("{{ (" + source + "\n) }}")
        expressions = [part for output in tree.body if isinstance(output, nodes.Output) for part in output.nodes]
        if len(tree.body) != 1 or len(expressions) != 1:
            raise ValueError(f"expected one expression without braces, got {source!r:.60}")
        self.names = _names(tree)
        self._evaluate = _compile_value(expressions[0])

    def evaluate(self, context: Context) -> Any:
        """Its value. Raises `TemplateError`."""
        return self._evaluate(context)

    def holds(self, context: Context) -> bool:
        """Whether its value is true. Raises `TemplateError`."""
        return bool(self._evaluate(context))


class Template(_Source):
    """A text with `{{ }}`; values that are no text stand for themselves. Raises `ValueError` for broken syntax."""

    def __init__(self, source: Any) -> None:
        if not isinstance(source, str | int | float | bool | None):
            raise ValueError(f"expected a text, got {source!r:.60}")
        self.source = source
        self.names: frozenset[str] = frozenset()
        self.constant = not isinstance(source, str) or not any(mark in source for mark in ("{{", "{%", "{#"))
        self._render: Callable[[Context], Any] = lambda _: source
        if not self.constant:
            tree = _parse(source)
            self.names = _names(tree)
            self._render = _compile_text(tree)

    def render(self, context: Context) -> Any:
        """The rendered value. Raises `TemplateError`."""
        return self._render(context)

    def text(self, context: Context) -> str:
        """The rendered value as text; `None` is the empty text. Raises `TemplateError`."""
        value = self._render(context)
        return "" if value is None else str(value)


class Record:
    """Named templates that are rendered together: most of the time of a small one goes into setting the scene."""

    def __init__(self, templates: Mapping[str, Template]) -> None:
        self._constants = {name: template.source for name, template in templates.items() if template.constant}
        trees = {name: _parse(str(template.source)) for name, template in templates.items() if not template.constant}
        self._texts = {name: templates[name] for name, tree in trees.items() if not _is_expression(tree)}
        self._values = _compile_values({n: _expression(tree) for n, tree in trees.items() if n not in self._texts})

    def render(self, context: Context) -> dict[str, Any]:
        """The rendered values. Raises `TemplateError`, which begins with the name of the template that failed."""
        values = self._constants | self._values(context)
        for name, template in self._texts.items():
            try:
                values[name] = template.render(context)
            except TemplateError as error:
                raise TemplateError(f"{name}: {error}") from error
        return values


class Tree(_Source):
    """A JSON-like value in which every text is a `Template`. Raises `ValueError` naming the place of a broken one."""

    json_schema: ClassVar[dict[str, Any]] = {}

    def __init__(self, source: Any) -> None:
        self.source = source
        self.names = frozenset[str]().union(*(template.names for template in _templates(source)))
        self._node = _plant(source)
        self.constant = not self.names and all(template.constant for template in _templates(source))

    def render(self, context: Context) -> Any:
        """The value with all its templates rendered. Raises `TemplateError`."""
        return self.source if self.constant else _grow(self._node, context)


def sees(*names: str) -> AfterValidator:
    """A validator for fields: a template there may use these names (and the functions) and no others."""
    known = frozenset(names) | _SANDBOX.globals.keys() | {"now"}

    def check(source: _Source) -> _Source:
        if unknown := sorted(source.names - known):
            raise ValueError(f"unknown name {unknown[0]!r}; known here: {', '.join(names)}")
        return source

    return AfterValidator(check)


def clock(now: datetime) -> Callable[[], datetime]:
    """What `now()` is in a template."""
    return lambda: now


def _parse(source: str) -> nodes.Template:
    if len(source) > MAX_SOURCE:
        raise ValueError(f"longer than {MAX_SOURCE} characters")
    try:
        tree = _SANDBOX.parse(source)
    except TemplateSyntaxError as error:
        raise ValueError(f"line {error.lineno}: {error.message}") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    sandbox.refuse_statements(tree)
    return tree


def _names(tree: nodes.Template) -> frozenset[str]:
    try:
        return frozenset(find_undeclared_variables(tree)) - _SANDBOX.globals.keys()
    except TemplateSyntaxError as error:  # an unknown filter or test shows only when code is made
        raise ValueError(f"line {error.lineno}: {error.message}") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _compile_text(tree: nodes.Template) -> Callable[[Context], Any]:
    return _compile_value(_expression(tree)) if _is_expression(tree) else _compile_statements(tree)


def _is_expression(tree: nodes.Template) -> bool:
    return all(isinstance(output, nodes.Output) for output in tree.body)


def _expression(tree: nodes.Template) -> nodes.Expr:
    """What a template without statements comes to: its only value, or the text of all its parts."""
    parts = [part for output in tree.body for part in output.nodes]  # type: ignore[attr-defined]
    if len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData):
        return cast("nodes.Expr", parts[0])
    literals = [nodes.Const(part.data) if isinstance(part, nodes.TemplateData) else part for part in parts]
    return nodes.Filter(nodes.List(literals, lineno=1), "_text", [], [], None, None, lineno=1)


def _compile_value(expression: nodes.Expr) -> Callable[[Context], Any]:
    values = _compile_values({"": expression})
    return lambda context: values(context)[""]


def _compile_values(expressions: Mapping[str, nodes.Expr]) -> Callable[[Context], dict[str, Any]]:
    """As Jinja's own `compile_expression`, for parts of templates, for several at once, and with errors of ours."""
    tree = nodes.Template([_assignment(f"_{i}", value) for i, value in enumerate(expressions.values())], lineno=1)
    sandbox.bound_concatenations(tree)
    template = _SANDBOX.from_string(tree)
    names = list(expressions)

    def evaluate(context: Context) -> dict[str, Any]:
        scope = template.new_context(context)  # type: ignore[arg-type]
        try:
            for _ in template.root_render_func(scope):
                pass
        except Exception as error:  # a template can raise anything its data can
            broken = names[len(scope.vars)]
            raise TemplateError(f"{broken}: {_message(error)}" if broken else _message(error)) from error
        return dict(zip(names, scope.vars.values(), strict=True))

    return evaluate


def _assignment(name: str, value: nodes.Expr) -> nodes.Assign:
    defined = nodes.Filter(value, "_defined", [], [], None, None, lineno=1)
    return nodes.Assign(nodes.Name(name, "store", lineno=1), defined, lineno=1)


def _compile_statements(tree: nodes.Template) -> Callable[[Context], str]:
    sandbox.count_iterations(tree)
    sandbox.bound_concatenations(tree)
    template = _SANDBOX.from_string(tree)

    def render(context: Context) -> str:
        try:
            return template.render({**context, sandbox.BUDGET: [sandbox.MAX_ITERATIONS]})
        except Exception as error:
            raise TemplateError(_message(error)) from error

    return render


def _message(error: Exception) -> str:
    return f"{str(error) or type(error).__name__}"[:500]


def _templates(source: Any) -> list[Template]:
    if isinstance(source, dict):
        return [template for value in source.values() for template in _templates(value)]
    if isinstance(source, list):
        return [template for value in source for template in _templates(value)]
    return [Template(source)]


def _plant(source: Any) -> Any:
    if isinstance(source, dict):
        return {key: _plant(value) for key, value in source.items()}
    if isinstance(source, list):
        return [_plant(value) for value in source]
    return Template(source)


def _grow(node: Any, context: Context) -> Any:
    if isinstance(node, dict):
        return {key: _grow(value, context) for key, value in node.items()}
    if isinstance(node, list):
        return [_grow(value, context) for value in node]
    return node.render(context)
