"""Templates and expressions of the configuration: Jinja2, compiled when the file is read.

A `Template` is a text with `{{ }}` in it; one that is a single `{{ }}` keeps the type of its value. An `Expression` has
no braces. A `Tree` is a JSON-like value with templates for its texts. Undefined names are errors, everywhere.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar, Self

from jinja2 import nodes
from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from gateway.core import compiling
from gateway.core.compiling import Context
from gateway.core.errors import TemplateError


class _Source:
    """What templates, expressions and trees have in common: they stand in the file, and know the names they use."""

    source: Any
    names: frozenset[str]
    json_schema: ClassVar[dict[str, Any]] = {"type": "string"}

    def __init__(self, source: Any) -> None:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.source == other.source

    def __hash__(self) -> int:
        return hash(repr(self.source))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source!r})"

    @classmethod
    def _parse(cls, source: Any) -> "_Source":
        if isinstance(source, cls):
            return source
        return cls._compiled(source) if isinstance(source, str) else cls(source)

    @classmethod
    @lru_cache(maxsize=10_000)
    def _compiled(cls, source: str) -> "_Source":
        """Each text is compiled once: the triggers of a large site differ in names rather than in their templates."""
        return cls(source)

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
        tree = compiling.parse_expression(source)
        self.names = compiling.undeclared(tree)
        self._evaluate = compiling.compile_value(compiling.expression(tree))

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
            raise ValueError(f"expected a text, got {source!r:.60}")  # noqa: TRY004 - pydantic reports ValueError
        self.source = source
        self.names: frozenset[str] = frozenset()
        self.constant = not isinstance(source, str) or not any(mark in source for mark in ("{{", "{%", "{#"))
        self._render: Callable[[Context], Any] = lambda _: source
        if not self.constant:
            tree = compiling.parse(str(source))
            self.names = compiling.undeclared(tree)
            self._render = _compile(tree)

    @classmethod
    def literal(cls, text: str) -> Self:
        """A text that is no template, whatever stands in it."""
        made = cls("")
        made.source, made._render = text, lambda _: text
        return made

    def render(self, context: Context) -> Any:
        """The rendered value. Raises `TemplateError`."""
        return self._render(context)

    def text(self, context: Context) -> str:
        """The rendered value as text; `None` is the empty text. Raises `TemplateError`."""
        value = self._render(context)
        try:
            return "" if value is None else str(value)
        except Exception as error:
            raise TemplateError(f"no text: {error}") from error


class Record:
    """Named templates that are rendered together: most of the time of a small one goes into setting the scene."""

    def __init__(self, templates: Mapping[str, Template]) -> None:
        self._constants = {name: template.source for name, template in templates.items() if template.constant}
        trees = {
            name: compiling.parse(str(template.source)) for name, template in templates.items() if not template.constant
        }
        self._texts = {name: templates[name] for name, tree in trees.items() if not compiling.is_expression(tree)}
        values = {name: compiling.expression(tree) for name, tree in trees.items() if name not in self._texts}
        self._values = compiling.compile_values(values)

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
        self._node = _plant(source, "")
        templates = list(_templates(self._node))
        self.names = frozenset[str]().union(*(template.names for template in templates))
        self.constant = all(template.constant for template in templates)

    @classmethod
    def literal(cls, value: Any) -> Self:
        """A value without templates, whatever stands in its texts."""
        made = cls.__new__(cls)  # nothing in it is to be looked at
        made.source, made.names, made.constant = value, frozenset(), True
        return made

    def render(self, context: Context) -> Any:
        """The value with all its templates rendered. Raises `TemplateError`."""
        return self.source if self.constant else _grow(self._node, context)


def sees(*names: str) -> AfterValidator:
    """A validator for fields: a template there may use these names (and the functions) and no others."""
    known = frozenset(names) | {"now"}

    def check(source: _Source) -> _Source:
        if unknown := sorted(source.names - known):
            raise ValueError(f"unknown name {unknown[0]!r}; known here: {', '.join(names)}")
        return source

    return AfterValidator(check)


def clock(now: datetime) -> Callable[[], datetime]:
    """What `now()` is in a template."""
    return lambda: now


def _compile(tree: nodes.Template) -> Callable[[Context], Any]:
    if compiling.is_expression(tree):
        return compiling.compile_value(compiling.expression(tree))
    return compiling.compile_statements(tree)


def _plant(source: Any, path: str) -> Any:
    if isinstance(source, dict):
        return {key: _plant(value, f"{path}.{key}" if path else str(key)) for key, value in source.items()}
    if isinstance(source, list | tuple):
        return [_plant(value, f"{path}[{i}]") for i, value in enumerate(source)]
    try:
        return Template._parse(source)  # noqa: SLF001 - the same family
    except ValueError as error:
        raise ValueError(f"{path}: {error}" if path else str(error)) from error


def _templates(node: Any) -> Iterator[Template]:
    if isinstance(node, Template):
        yield node
    else:
        for child in node.values() if isinstance(node, dict) else node:
            yield from _templates(child)


def _grow(node: Any, context: Context) -> Any:
    if isinstance(node, dict):
        return {key: _grow(value, context) for key, value in node.items()}
    if isinstance(node, list):
        return [_grow(value, context) for value in node]
    return node.render(context)
