"""The presets that there are: those that come with the gateway, and those in the folder of a user.

Both have the same form: `SECTION/NAME.yaml` is a preset, as the module `presets` describes it, and `samples/NAME.json`
the body of an event as the sender of a source would send it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.config.problem import ConfigurationError, Place, Problem
from gateway.config.reader import UnreadableError, read
from gateway.config.tree import Mapping as Tree
from gateway.config.tree import place, plain
from gateway.core.name import is_name
from gateway.core.wording import said

SECTIONS = ("sources", "targets")
_SUFFIX = ".yaml"


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


@dataclass(frozen=True, slots=True)
class Entry:
    """A preset, the text that it was read from, and the body of its sample."""

    preset: Preset
    text: str
    body: str | None


@dataclass(frozen=True, slots=True)
class Library:
    """Presets by section and name."""

    entries: Mapping[tuple[str, str], Entry]

    def names(self, section: str) -> tuple[str, ...]:
        """Those of a section, sorted."""
        return tuple(sorted(name for of, name in self.entries if of == section))

    def load(self, section: str, name: str) -> Preset:
        """Raises `KeyError` for an unknown name."""
        return self.entries[section, name].preset

    def written(self, section: str, name: str) -> str:
        """A preset as it is written, for people. Raises `KeyError` for an unknown name."""
        return self.entries[section, name].text

    def body(self, section: str, name: str) -> str | None:
        """The body of its sample, if it has one. Raises `KeyError` for an unknown name."""
        return self.entries[section, name].body

    def having(self, folder: Traversable, where: Place, problems: list[Problem]) -> "Library":
        """The same, and what is in the folder that is named at that place."""
        own = dict(_entries(folder, problems))
        for section, name in own.keys() & self.entries.keys():
            message = f"{section}/{name}{_SUFFIX}: the gateway has a preset of this name; give yours another"
            problems.append(where.problem(("presets_dir",), message))
        return Library({**own, **self.entries})


@cache
def bundled() -> Library:
    """The presets that come with the gateway."""
    problems: list[Problem] = []
    library = Library(dict(_entries(files("gateway") / "presets", problems)))
    if problems:
        raise ConfigurationError(problems)
    return library


def _entries(folder: Traversable, problems: list[Problem]) -> Iterator[tuple[tuple[str, str], Entry]]:
    for section in SECTIONS:
        shelf = folder / section
        for file in shelf.iterdir() if shelf.is_dir() else ():
            if not file.name.endswith(_SUFFIX):
                continue
            try:
                preset, text = _read(file, problems)
                name = file.name.removesuffix(_SUFFIX)
                yield (section, name), Entry(preset, text, _body(folder / "samples" / f"{name}.json"))
            except UnreadableError as error:
                problems.append(error.problem)
            except OSError as error:
                problems.append(Place(str(file)).problem((), f"cannot be read: {error.strerror}"))


def _read(file: Traversable, problems: list[Problem]) -> tuple[Preset, str]:
    """Raises `UnreadableError` for what is no preset, and `OSError`."""
    start = Place(str(file), 1, 1)
    if not is_name(file.name.removesuffix(_SUFFIX)):
        raise UnreadableError(start.problem((), "a preset is called by lower-case letters, digits and -"))
    raw = file.read_bytes()
    tree = read(str(file), raw, None, problems) or Tree(start)
    try:
        return Preset.model_validate(plain(tree)), raw.decode()
    except ValidationError as error:
        first = error.errors()[0]
        raise UnreadableError(place(tree, first["loc"]).problem(first["loc"], said(first))) from None


def _body(file: Traversable) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None
