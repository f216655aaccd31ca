"""The reference of the configuration: a table of keys for each section, made from the models and the presets."""

import inspect
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from zoneinfo import ZoneInfo

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, FilePath, IPvAnyNetwork, SecretStr
from pydantic.fields import FieldInfo

from gateway.config.library import bundled
from gateway.config.model import NAMED, Config
from gateway.core.duration import format_duration, parse_size
from gateway.core.rate import RequestRate
from gateway.core.template import Expression, Template, Tree
from gateway.core.timing import Timing
from gateway.sources import KINDS as SOURCES
from gateway.sources.base import Settings as Source
from gateway.sources.verify import Verify
from gateway.targets import KINDS as TARGETS
from gateway.targets.base import Settings as Target
from gateway.targets.job import Asking

_TYPES: dict[Any, str] = {
    bool: "boolean",
    int: "number",
    str: "text",
    datetime: "time",
    time: "time of day",
    timedelta: "duration",
    ZoneInfo: "time zone",
    Path: "path",
    get_args(FilePath)[0]: "path",
    SecretStr: "secret",
    IPvAnyNetwork: "network",
    RequestRate: "rate",
    Template: "template",
    Expression: "expression",
    Tree: "data",
    Asking: "[request](#requests-beside-the-call)",
    Timing: "[timing](#timings)",
    **dict.fromkeys(get_args(get_args(Verify)[0]), "[proof](#verify)"),
}
_APART = (Asking, Timing)
"""Models with a table of their own, to which others refer."""
_KIB, _MIB = 2**10, 2**20


@dataclass(frozen=True, slots=True)
class Key:
    """A row of a table."""

    name: str
    type: str
    default: str
    description: str

    def __str__(self) -> str:
        cells = (f"`{self.name}`", self.type, self.default, self.description)
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def reference() -> str:
    """All sections, in the order of the model."""
    parts = [_section("The whole file", _table(_keys_of(Config)))]
    for name, field in Config.model_fields.items():
        model = _model_in(field.annotation)
        if name in _PARTS:
            parts.append(_section(f"`{name}`", *_PARTS[name]()))
        elif model:
            parts.append(_section(f"`{name}`", _told(model), _table(keys(model))))
        if name == "schedules":
            parts.append(_section("Timings", _told(Timing), _table(keys(Timing))))
    return "\n".join(parts)


def keys(model: type[BaseModel], prefix: str = "", without: Collection[str] = ()) -> Iterator[Key]:
    """The keys of a section, those of the sections within it after each of them."""
    for name, field in model.model_fields.items():
        if name in without:
            continue
        path = prefix + (field.alias or name)
        yield _key(path, field)
        below = _model_in(field.annotation)
        if below and below not in _APART:
            shared = next((other for other in _APART if issubclass(below, other)), None)
            is_list = get_origin(_without_none(field.annotation)) is tuple
            yield from keys(below, f"{path}{'[]' if is_list else ''}.", shared.model_fields if shared else ())


def _sources() -> Iterator[str]:
    yield _told(Source)
    yield _table(keys(Source))
    for kind, model in SOURCES.items():
        yield f"### `kind: {kind}`\n\n{_told(model)}\n\n{_table(keys(model, without=Source.model_fields))}"
    yield "### `verify`\n\nHow senders prove themselves, by `scheme`."
    for scheme in get_args(get_args(Verify)[0]):
        [name] = get_args(scheme.model_fields["scheme"].annotation)
        yield f"#### `scheme: {name}`\n\n{_told(scheme)}"
        if more := list(keys(scheme, without=("scheme",))):
            yield _table(more)
    yield _presets("sources")


def _targets() -> Iterator[str]:
    yield _told(Target)
    yield _table(keys(Target))
    for kind, model in TARGETS.items():
        yield f"### `kind: {kind}`\n\n{_told(model)}\n\n{_table(keys(model, without=Target.model_fields))}"
    yield f"### Requests beside the call\n\n{_told(Asking)}\n\n{_table(keys(Asking))}"
    yield _presets("targets")


_PARTS = {"sources": _sources, "targets": _targets}


def _presets(section: str) -> str:
    """What each preset asks for; what follows from that is a matter of `gateway presets show`."""
    rows = []
    for name in bundled().names(section):
        preset = bundled().load(section, name)
        rows.append(f"| [`{name}`]({section}/{name}.md) | {preset.description} | | |")
        for key, param in preset.params.items():
            default = "required" if param.required else f"`{param.default}`" if param.default else ""
            rows.append(f"| | `{key}` | {default} | {param.description} |")
    head = "| preset | key | default | |\n|---|---|---|---|"
    return "\n".join([f"### Presets for {section}\n\n`gateway presets show NAME` prints what follows.\n", head, *rows])


def _keys_of(config: type[BaseModel]) -> Iterator[Key]:
    yield Key("include", "list of paths", "", "Files whose sections belong here too: globs, from this file's folder.")
    for name, field in config.model_fields.items():
        if name in NAMED or _model_in(field.annotation):
            what = "by name" if name in NAMED else "section"
            yield Key(name, what, "", f"See [`{name}`](#{name}).")
        else:
            yield _key(name, field)


def _key(name: str, field: FieldInfo) -> Key:
    model = _model_in(field.annotation)
    description = field.description or (_told(model) if model else "")
    return Key(name, _type(field.annotation, field.metadata), _default(field), description)


def _type(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """What may be written there, in words."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(parts[0], [*parts[1:], *metadata])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_type(part, metadata) for part in parts if part is not NoneType))
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in parts)
    if origin is tuple:
        return f"list of {_plural(_type(parts[0]))}"
    if origin is dict:
        return f"{_plural(_type(parts[1]))} by name"
    return _single(annotation, metadata)


def _single(annotation: Any, metadata: Sequence[Any]) -> str:
    if annotation in _TYPES:
        is_size = any(getattr(one, "func", None) is parse_size for one in metadata)
        return ("size" if is_size else _TYPES[annotation]) + _bounds(metadata)
    if issubclass(annotation, StrEnum):
        return ", ".join(f"`{value}`" for value in annotation)
    return "section"


def _plural(kind: str) -> str:
    return f"{kind}s" if kind.isalpha() else kind.replace("]", "s]")


def _bounds(metadata: Sequence[Any]) -> str:
    least = next((one.ge for one in metadata if isinstance(one, Ge)), None)
    above = next((one.gt for one in metadata if isinstance(one, Gt)), None)
    most = next((one.le for one in metadata if isinstance(one, Le)), None)
    if least is not None and most is not None:
        return f", {_shown(least)} to {_shown(most)}"
    if least:
        return f", at least {_shown(least)}"
    return f", more than {_shown(above)}" if above is not None else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value in ((), {}, "") or isinstance(value, BaseModel):
        return ""
    is_size = any(getattr(one, "func", None) is parse_size for one in field.metadata)
    shown = _shown_size(value) if is_size else _shown(value)
    return f"`{shown}`" if shown not in ("None", "{}") else ""


def _shown(value: Any) -> str:
    """As it would be written in the file."""
    match value:
        case timedelta():
            text = format_duration(value)
        case SecretStr():
            text = value.get_secret_value()
        case Template() | Expression() | Tree():
            text = str(value.source)
        case tuple():
            text = f"[{', '.join(map(_shown, value))}]"
        case time():
            text = f"{value:%H:%M}"
        case _:
            text = str(value).lower() if isinstance(value, bool) else str(value)
    return text


def _shown_size(size: int) -> str:
    return f"{size // _MIB}MiB" if size % _MIB == 0 else f"{size // _KIB}KiB"


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a value is, or that the items of a list are."""
    annotation = _without_none(annotation)
    if get_origin(annotation) is tuple:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is dict:
        annotation = get_args(annotation)[1]
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return _without_none(get_args(annotation)[0])
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    first, *others = [part for part in get_args(annotation) if part is not NoneType]
    return annotation if others else _without_none(first)


def _told(model: type[BaseModel]) -> str:
    """The first paragraph of what its docstring says."""
    return " ".join((inspect.getdoc(model) or "").partition("\n\n")[0].split())


def _table(rows: Iterator[Key] | Sequence[Key]) -> str:
    head = "| key | type | default | |\n|---|---|---|---|"
    return "\n".join([head, *map(str, rows)])


def _section(title: str, *parts: str) -> str:
    return "\n\n".join([f"## {title}", *parts]) + "\n"
