"""The description of the API (OpenAPI 3.1): made from the routes, and from the models that read and answer them."""

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from itertools import groupby
from operator import attrgetter
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter

from gateway import __version__
from gateway.core.errors import (
    Forbidden,
    Invalid,
    NotFound,
    Rejected,
    TooLarge,
    TooMany,
    Unavailable,
    Unmappable,
    Unparseable,
    UnsupportedEncoding,
    Unverified,
)
from gateway.core.json_schema import JsonSchema
from gateway.core.name import MAX_LENGTH, PATTERN
from gateway.store.accept import Accepted
from gateway.web.acting import Reasoned
from gateway.web.api.documents import Problem
from gateway.web.problems import PROBLEM, NotJson, TooSlow
from gateway.web.route import Handler, Media, Route

Described = dict[str, Any]
Refusals = Iterable[type[Rejected]]

_COMPONENT = "#/components/schemas/{model}"
_ALWAYS = (Unverified, Forbidden, Unavailable)
_WITH_BODY = (Unparseable, TooSlow, TooLarge, NotJson, UnsupportedEncoding, Invalid)
_OF_HOOKS = (*_ALWAYS, NotFound, Unparseable, TooSlow, TooLarge, UnsupportedEncoding, Unmappable, TooMany)
_JSON = "application/json"
_ID = {"type": "string", "format": "uuid"}
_NAME = {"type": "string", "pattern": PATTERN, "maxLength": MAX_LENGTH}
_INFO = {
    "title": "Trigger gateway",
    "version": __version__,
    "description": "Events in, runs out: what happened, what was decided, what became of it, and what can be done.",
}
_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token of `access.tokens`; each role may do what those before it may.",
}
_HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "required": True}},
    503: {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds."}},
}


def describe(routes: Sequence[Route], probes: Mapping[str, Handler]) -> Described:
    """The document; whatever is in it is taken from what answers."""
    components = _Components()
    paths: dict[str, Described] = {path: {"get": _probe(handler, components)} for path, handler in probes.items()}
    paths["/hooks/{name}"] = {"post": _hook(components)}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, components)
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": components.schemas, "securitySchemes": {"token": _TOKEN}},
    }


class _Exact(JsonSchema):
    """Says of what is answered that all of it is there and nothing else is; without titles that only repeat names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the signature is pydantic's
        return False

    def field_is_required(self, field: Any, total: bool) -> bool:  # noqa: FBT001 - likewise
        is_answered = self.mode == "serialization" and field["type"] == "dataclass-field"
        return is_answered or super().field_is_required(field, total)

    def dataclass_schema(self, schema: Any) -> Described:
        return {**super().dataclass_schema(schema), "additionalProperties": False}


class _Components:
    """The schemas that have names, as they turn up."""

    def __init__(self) -> None:
        self.schemas: dict[str, Described] = {}

    def of(self, what: Any, mode: Literal["validation", "serialization"]) -> Described:
        """The schema of a type, as a reference where that has a name."""
        schema = self._read(what, mode)
        name = schema.pop("title", None)
        return schema if name is None else self._refer(name, schema)

    def fields_of(self, model: type[BaseModel]) -> dict[str, tuple[bool, Described]]:
        """Of a model that has no name outside: whether each field is required, and its schema."""
        schema = self._read(model, "validation")
        required = schema.get("required", ())
        return {name: (name in required, about) for name, about in schema.get("properties", {}).items()}

    def _read(self, what: Any, mode: Literal["validation", "serialization"]) -> Described:
        schema = TypeAdapter(what).json_schema(mode=mode, ref_template=_COMPONENT, schema_generator=_Exact)
        for name, named in schema.pop("$defs", {}).items():
            named.pop("title", None)
            self._refer(name, named)
        return schema

    def _refer(self, name: str, schema: Described) -> Described:
        if self.schemas.setdefault(name, schema) != schema:
            raise TypeError(f"two different things are called {name}")
        return {"$ref": _COMPONENT.format(model=name)}


def _operation(route: Route, components: _Components) -> Described:
    operation = {
        **_told(route.handler),
        "operationId": "-".join([route.method.lower(), *re.findall(r"[a-z.]+", route.path.removeprefix("/api/v1/"))]),
        "tags": [_tag(route.path)],
        "security": [{"token": [route.role.value]}],
        "parameters": _parameters(route, components),
        "responses": {**_replies(route, components), **_refusals(_refused(route), components)},
    }
    if route.body is not None:
        body = components.of(route.body, "validation")
        operation["requestBody"] = {"content": {_JSON: {"schema": body}}, "required": _is_required(route.body)}
    return operation


def _told(handler: Handler) -> Described:
    summary, _, description = (inspect.getdoc(handler) or "").partition("\n\n")
    told = {"summary": summary.rstrip("."), "description": " ".join(description.split())}
    return {name: text for name, text in told.items() if text}


def _tag(path: str) -> str:
    return path.removeprefix("/api/v1/").strip("/").partition("/")[0]


def _is_required(body: type[BaseModel]) -> bool:
    return any(field.is_required() for field in body.model_fields.values())


def _parameters(route: Route, components: _Components) -> list[Described]:
    in_path = {name: (True, _ID if name == "id" else _NAME) for name in re.findall(r"{(\w+)}", route.path)}
    places = {
        "path": in_path,
        "query": components.fields_of(route.query) if route.query else {},
        "header": {
            **(components.fields_of(route.headers) if route.headers else {}),
            **(components.fields_of(Reasoned) if route.acts else {}),
        },
    }
    return [
        _parameter(place, name, schema, required=required)
        for place, fields in places.items()
        for name, (required, schema) in fields.items()
    ]


def _parameter(place: str, name: str, schema: Described, *, required: bool) -> Described:
    """What is left out is left out: nobody can send a null in an address."""
    forms = [form for form in schema.get("anyOf", []) if form != {"type": "null"}]
    about = {key: value for key, value in schema.items() if key not in ("anyOf", "description") and value is not None}
    form = {**about, **(forms[0] if len(forms) == 1 else {"anyOf": forms} if forms else {})}
    description = {"description": schema["description"]} if "description" in schema else {}
    return {"name": name, "in": place, "required": required, "schema": form, **description}


def _replies(route: Route, components: _Components) -> Described:
    return {str(status): _reply(status, what, components) for status, what in route.replies.items()}


def _reply(status: int, what: Any, components: _Components) -> Described:
    description = HTTPStatus(status).phrase
    match what:
        case None:
            return {"description": description}
        case Media(types):
            return {"description": description, "content": {name: {} for name in types}}
        case _:
            schema = components.of(what, "serialization")
            return {"description": description, "content": {_JSON: {"schema": schema}}}


def _refused(route: Route) -> Refusals:
    yield from _ALWAYS
    yield from route.refuses
    if "{" in route.path:
        yield NotFound
    if route.query is not None or route.headers is not None or route.acts:
        yield Invalid
    if route.body is not None:
        yield from _WITH_BODY


def _refusals(kinds: Refusals, components: _Components) -> Described:
    schema = components.of(Problem, "serialization")
    ordered = sorted(dict.fromkeys(kinds), key=attrgetter("status", "title"))
    return {
        str(status): {
            "description": " or ".join(kind.title for kind in same),
            **({"headers": _HEADERS[status]} if status in _HEADERS else {}),
            "content": {PROBLEM: {"schema": schema}},
        }
        for status, same in groupby(ordered, key=attrgetter("status"))
    }


def _probe(handler: Handler, components: _Components) -> Described:
    parts = {"description": "OK", "content": {_JSON: {"schema": {"type": "object"}}}}
    return {
        **_told(handler),
        "operationId": handler.__name__,
        "tags": ["probes"],
        "security": [],
        "responses": {"200": parts, **_refusals([Unavailable], components)},
    }


def _hook(components: _Components) -> Described:
    """What is in the body, and which methods there are, is up to each source."""
    one = components.of(Accepted, "serialization")
    batch = {"type": "object", "properties": {"items": {"type": "array", "items": one}}, "required": ["items"]}
    accepted = {"description": "Accepted", "content": {_JSON: {"schema": {"anyOf": [one, batch]}}}}
    return {
        "summary": "Events, as their sender sends them",
        "operationId": "receive",
        "tags": ["hooks"],
        "security": [],
        "parameters": [{"name": "name", "in": "path", "required": True, "schema": _NAME}],
        "requestBody": {"content": {"*/*": {"schema": {}}}},
        "responses": {"202": accepted, **_refusals(_OF_HOOKS, components)},
    }
