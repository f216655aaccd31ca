"""Presets: what is known about a system, as data.

A preset is one file, `SECTION/NAME.yaml`, in `gateway/presets/` or in the folder that `presets_dir` names:

    description: one line
    params:
      secret: {required: true, description: …}
      port: {default: 8000}
      scope: {}
    settings: {kind: webhook, verify: {scheme: token, secret: "$(secret)"}, …}
    sample: {headers: {…}, …}

In the settings, `$(name)` as a whole value stands for the value of a parameter, of whatever type; inside a text for its
text. A key or item whose value mentions a parameter that has neither a value nor a default is left out. Defaults may
mention other parameters. What the user writes beside `preset:` goes over the settings, mapping by mapping; lists
replace, and so does a mapping of another `scheme`. A parameter that is used nowhere after that is not asked for.
"""

import re
from dataclasses import replace
from pathlib import Path as Folder

from gateway.config.library import SECTIONS, Library, Preset, bundled
from gateway.config.problem import Path, Place, Problem
from gateway.config.tree import Mapping, Node, Scalar, Sequence, child, merged, plain, plant, scalars
from gateway.core.wording import did_you_mean

OWN = "presets_dir"
PRESET = "preset"
_PARAM = re.compile(r"\$\((\w+)\)", re.ASCII)


def opened(tree: Mapping, folder: Folder, problems: list[Problem]) -> Library:
    """The presets that a configuration in that folder can use."""
    node = tree.items.get(OWN)
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        return bundled()
    own = folder / node.value
    if not own.is_dir():
        problems.append(node.place.problem((OWN,), "there is no such folder"))
        return bundled()
    return bundled().having(own, node.place, problems)


def parameters(entry: Node | None, section: str, library: Library) -> set[str]:
    """What the preset of an entry asks for; nothing where it has no preset, or an unknown one."""
    name = _value(child(entry, PRESET))
    return set(library.load(section, name).params) if name in library.names(section) else set()


def chosen(tree: Mapping, section: str) -> dict[str, str]:
    """The presets that entries of a section name, by entry, as long as it has not been written out."""
    entries = tree.items.get(section)
    named = {name: child(node, PRESET) for name, node in entries.items.items()} if isinstance(entries, Mapping) else {}
    return {name: str(preset.value) for name, preset in named.items() if isinstance(preset, Scalar)}


def write_out(tree: Mapping, library: Library, problems: list[Problem]) -> Mapping:
    """The configuration with all its presets written out; without the entries for which that cannot be done.

    What comes from a preset is said to stand at the `preset:` of the user, what comes from a parameter where that does.
    """
    for section in SECTIONS:
        entries = tree.items.get(section)
        if isinstance(entries, Mapping):
            written = {
                name: _written_out(node, (section, name), library, problems) for name, node in entries.items.items()
            }
            items = {name: node for name, node in written.items() if node is not None}
            tree = tree.having(section, tree.keys[section], replace(entries, items=items))
    return tree


def _written_out(entry: Node, path: tuple[str, str], library: Library, problems: list[Problem]) -> Node | None:
    if not isinstance(entry, Mapping) or PRESET not in entry.items:
        return entry
    named = entry.items[PRESET]
    preset = _looked_up(named, path, library, problems)
    if preset is None:
        return None
    settings, beside = plant(preset.settings, named.place), entry.lacking(PRESET, *preset.params)
    defaults = (plant(param.default, named.place) for param in preset.params.values())
    used = _used(Sequence(named.place, (merged(settings, beside), *defaults)), named.place)
    missing = [name for name, param in preset.params.items() if param.required and name in used - entry.items.keys()]
    problems.extend(_missing(name, preset, named, path) for name in missing)
    if missing:
        return None
    return merged(_fill(settings, _values(preset, entry, named.place)), beside)


def _looked_up(named: Node, path: tuple[str, str], library: Library, problems: list[Problem]) -> Preset | None:
    section, name = path[0], _value(named)
    if name in library.names(section):
        return library.load(section, name)
    elsewhere = next((other for other in SECTIONS if name in library.names(other)), None)
    hint = f"; it is one for {elsewhere}" if elsewhere else did_you_mean(name, library.names(section))
    shown = repr(named.shown) if isinstance(named, Scalar) else "this"
    problems.append(named.place.problem((*path, PRESET), f"{shown} is no preset for {section}{hint}"))
    return None


def _used(written: Node, place: Place) -> set[str]:
    """The parameters in what stands in one place: that of the preset."""
    texts = (str(scalar.value) for scalar in scalars(written) if scalar.place is place)
    return {name for text in texts for name in _PARAM.findall(text)}


def _missing(name: str, preset: Preset, named: Node, path: Path) -> Problem:
    described = preset.params[name].description
    message = f"the preset {_value(named)} needs {name!r}" + (f": {described}" if described else "")
    return named.place.problem(path, message)


def _values(preset: Preset, entry: Mapping, place: Place) -> dict[str, Node]:
    given = {name: node for name, node in entry.items.items() if name in preset.params}
    optional = {name: param for name, param in preset.params.items() if "default" in param.model_fields_set}
    defaults = {name: plant(param.default, place) for name, param in optional.items()}
    known = defaults | given
    return {name: _fill(node, known) for name, node in defaults.items() if not _is_left_out(node, known)} | given


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
    return not values.keys() >= set(_PARAM.findall(_value(node)))


def _filled(text: str, place: Place, values: dict[str, Node]) -> Scalar:
    def fill(*, shown: bool) -> str:
        return _PARAM.sub(lambda match: str(plain(values[match[1]], shown=shown)), text)

    return Scalar(place, fill(shown=False), fill(shown=True))


def _value(node: Node | None) -> str:
    return str(node.value) if isinstance(node, Scalar) else ""
