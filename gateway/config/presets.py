"""Presets: what is known about a system, as data.

A preset is one file, `gateway/presets/SECTION/NAME.yaml`:

    description: one line
    params:
      secret: {required: true, description: …}
      port: {default: 8000}
      scope: {}
    settings: {kind: webhook, verify: {scheme: token, secret: "$(secret)"}, …}
    sample: {headers: {…}, …}

In the settings, `$(name)` as a whole value stands for the value of a parameter, of whatever type; inside a text for its
text. A key whose value is a parameter that has neither a value nor a default is left out. What the user writes beside
`preset:` goes over the settings, mapping by mapping; lists replace.
"""

import re
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict

from gateway.config.problem import ConfigurationError, Path, Place, Problem
from gateway.config.reader import read
from gateway.config.tree import Mapping, Node, Scalar, Sequence, child, merged, plain, plant
from gateway.core.wording import did_you_mean

SECTIONS = ("sources", "targets")
PRESET = "preset"
_PARAM = re.compile(r"\$\((\w+)\)", re.ASCII)


class Param(BaseModel):
    """What a user is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    required: bool = False
    default: Any = None
    description: str = ""


class Preset(BaseModel):
    """The settings of a known system, and what they depend on; `sample` is an event as the system would send it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str
    params: dict[str, Param] = {}
    settings: dict[str, Any]
    sample: dict[str, Any] | None = None


@cache
def names(section: str) -> tuple[str, ...]:
    """The presets of a section, sorted."""
    if section not in SECTIONS:
        return ()
    folder = files("gateway") / "presets" / section
    known = [file.name for file in folder.iterdir()] if folder.is_dir() else []
    return tuple(sorted(name.removesuffix(".yaml") for name in known if name.endswith(".yaml")))


def written(section: str, name: str) -> str:
    """A preset as it is written, for people. Raises `KeyError` for an unknown name."""
    if name not in names(section):
        raise KeyError(name)
    return (files("gateway") / "presets" / section / f"{name}.yaml").read_text()


@cache
def load(section: str, name: str) -> Preset:
    """A preset. Raises `KeyError` for an unknown name."""
    problems: list[Problem] = []
    tree = read(f"{name}.yaml", written(section, name).encode(), None, problems)
    if problems:
        raise ConfigurationError(problems)
    return Preset.model_validate(plain(tree) if tree else {})


def parameters(entry: Node | None, section: str) -> set[str]:
    """What the preset of an entry asks for; nothing where it has no preset, or an unknown one."""
    name = _value(child(entry, PRESET))
    return set(load(section, name).params) if name in names(section) else set()


def chosen(tree: Mapping, section: str) -> dict[str, str]:
    """The presets that entries of a section name, by entry, as long as it has not been written out."""
    entries = tree.items.get(section)
    named = {name: child(node, PRESET) for name, node in entries.items.items()} if isinstance(entries, Mapping) else {}
    return {name: str(preset.value) for name, preset in named.items() if isinstance(preset, Scalar)}


def write_out(tree: Mapping, problems: list[Problem]) -> Mapping:
    """The configuration with all its presets written out; without the entries for which that cannot be done.

    What comes from a preset is said to stand at the `preset:` of the user, what comes from a parameter where that does.
    """
    for section in SECTIONS:
        entries = tree.items.get(section)
        if isinstance(entries, Mapping):
            written = {name: _written_out(node, (section, name), problems) for name, node in entries.items.items()}
            items = {name: node for name, node in written.items() if node is not None}
            tree = tree.having(section, tree.keys[section], replace(entries, items=items))
    return tree


def _written_out(entry: Node, path: tuple[str, str], problems: list[Problem]) -> Node | None:
    if not isinstance(entry, Mapping) or PRESET not in entry.items:
        return entry
    named = entry.items[PRESET]
    preset = _looked_up(named, path, problems)
    if preset is None or not _is_complete(preset, entry, named, path, problems):
        return None
    settings = _fill(plant(preset.settings, named.place), _values(preset, entry, named.place))
    return merged(settings, entry.lacking(PRESET, *preset.params))


def _looked_up(named: Node, path: tuple[str, str], problems: list[Problem]) -> Preset | None:
    section, name = path[0], _value(named)
    if name in names(section):
        return load(section, name)
    elsewhere = next((other for other in SECTIONS if name in names(other)), None)
    hint = f"; it is one for {elsewhere}" if elsewhere else did_you_mean(name, names(section))
    shown = repr(named.shown) if isinstance(named, Scalar) else "this"
    problems.append(named.place.problem((*path, PRESET), f"{shown} is no preset for {section}{hint}"))
    return None


def _is_complete(preset: Preset, entry: Mapping, named: Node, path: Path, problems: list[Problem]) -> bool:
    missing = {name: param for name, param in preset.params.items() if param.required and name not in entry.items}
    for name, param in missing.items():
        message = f"the preset {_value(named)} needs {name!r}" + (f": {param.description}" if param.description else "")
        problems.append(named.place.problem(path, message))
    return not missing


def _values(preset: Preset, entry: Mapping, place: Place) -> dict[str, Node]:
    given = {name: node for name, node in entry.items.items() if name in preset.params}
    defaults = {name: param.default for name, param in preset.params.items() if "default" in param.model_fields_set}
    return {name: plant(default, place) for name, default in defaults.items()} | given


def _fill(node: Node, values: dict[str, Node]) -> Node:
    match node:
        case Mapping():
            items = {key: _fill(item, values) for key, item in node.items.items() if not _is_left_out(item, values)}
            return Mapping(node.place, items, node.keys)
        case Sequence():
            kept = (item for item in node.items if not _is_left_out(item, values))
            return Sequence(node.place, tuple(_fill(item, values) for item in kept))
        case Scalar(value=str(text)):
            whole = _PARAM.fullmatch(text)
            return values[whole[1]] if whole else _filled(text, node.place, values)
        case _:
            return node


def _is_left_out(node: Node, values: dict[str, Node]) -> bool:
    whole = _PARAM.fullmatch(_value(node))
    return whole is not None and whole[1] not in values


def _filled(text: str, place: Place, values: dict[str, Node]) -> Scalar:
    def fill(*, shown: bool) -> str:
        return _PARAM.sub(lambda match: str(plain(values[match[1]], shown=shown)) if match[1] in values else "", text)

    return Scalar(place, fill(shown=False), fill(shown=True))


def _value(node: Node | None) -> str:
    return str(node.value) if isinstance(node, Scalar) else ""
