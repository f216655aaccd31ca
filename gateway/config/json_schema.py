"""The JSON schema of the file, for editors; and what it says about a single place."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from gateway.config.include import INCLUDE
from gateway.config.library import SECTIONS, Library, Preset
from gateway.config.model import NAMED, Config
from gateway.config.presets import PRESET
from gateway.config.problem import Path
from gateway.config.tree import Node, Scalar, child
from gateway.core.json_schema import JsonSchema

Schema = dict[str, Any]

_REFERENCE = {"type": "string", "pattern": r"\$\{", "description": "A reference such as ${PORT:-8080}."}
_GLOBS = {
    "description": "Files whose sections belong here too: globs, relative to the folder of this file.",
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
}


def schema(library: Library) -> Schema:
    """The JSON schema of a configuration file, references and presets included."""
    root = _admit_references(model_schema())
    root["properties"][INCLUDE] = _GLOBS
    for section in NAMED:
        root["properties"][section]["additionalProperties"] = False
    for section in SECTIONS:
        _admit_presets(root["properties"][section], section, library)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **root}


@cache
def model_schema() -> Schema:
    """The JSON schema of the configuration once everything is written out. Not to be changed."""
    return Config.model_json_schema(schema_generator=JsonSchema)


def forms(path: Path, tree: Node) -> list[Schema]:
    """The schemas that what stands at a path may follow: several where there is a choice that `kind` does not make."""
    node: Node | None = tree
    found = list(_forms(model_schema(), node))
    for step in path:
        node = child(node, step)
        found = [form for schema in found for below in _below(schema, step) for form in _forms(below, node)]
    return found


def known_keys(path: Path, tree: Node) -> set[str]:
    """The keys that a mapping at a path may have."""
    return {key for form in forms(path, tree) for key in form.get("properties", ())}


def description(path: Path, tree: Node) -> str:
    """What the key at the end of a path is for."""
    *above, key = path
    properties = [form.get("properties", {}).get(key, {}) for form in forms(tuple(above), tree)]
    return next((text for text in (about.get("description") for about in properties) if text), "")


def _forms(schema: Schema, node: Node | None) -> Iterator[Schema]:
    if "$ref" in schema:
        schema = model_schema()["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if alternatives:
        for alternative in alternatives:
            yield from _forms(alternative, node)
    elif not _contradicts(node, schema):
        yield schema


def _contradicts(node: Node | None, schema: Schema) -> bool:
    """Whether it says itself that it is of another kind."""
    constants = {key: about["const"] for key, about in schema.get("properties", {}).items() if "const" in about}
    said = {key: item.value for key in constants if isinstance(item := child(node, key), Scalar)}
    return any(constants[key] != value for key, value in said.items())


def _below(schema: Schema, step: str | int) -> list[Schema]:
    if isinstance(step, int):
        return [schema["items"]] if isinstance(schema.get("items"), dict) else []
    if step in schema.get("properties", {}):
        return [schema["properties"][step]]
    return [*schema.get("patternProperties", {}).values()]


def _admit_references(node: Any) -> Any:
    if isinstance(node, list):
        return [_admit_references(item) for item in node]
    if not isinstance(node, dict):
        return node
    copy = {key: _admit_references(item) for key, item in node.items()}
    if copy.get("type") in ("integer", "number", "boolean") or "pattern" in copy:
        bounds = {key: copy.pop(key) for key in list(copy) if key not in ("default", "description", "title")}
        copy["anyOf"] = [bounds, _REFERENCE]
    return copy


def _admit_presets(root: Schema, section: str, library: Library) -> None:
    forms = [_preset_form(name, library.load(section, name)) for name in library.names(section)]
    written_out = root["patternProperties"]
    root["patternProperties"] = {pattern: {"anyOf": [entry, *forms]} for pattern, entry in written_out.items()}


def _preset_form(name: str, preset: Preset) -> Schema:
    properties = {key: {"description": param.description} for key, param in preset.params.items()}
    required = [key for key, param in preset.params.items() if param.required]
    return {
        "type": "object",
        "description": preset.description,
        "properties": {PRESET: {"const": name}, **properties},
        "required": [PRESET, *required],
    }
