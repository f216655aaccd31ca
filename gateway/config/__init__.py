"""The configuration: from files and environment to one immutable value, or to a list of everything that is wrong.

The way of a configuration, a module for each step:

    include         the file and those that it includes, as one tree
      reader        strict YAML 1.2, to a tree of values with their places
      interpolation ${VAR} and its kin
    overrides       GATEWAY__SECTION__NAME__KEY
    presets         what is known about a system, written out
      library       where presets are found
    validation      the tree against the model
      wording       what is wrong with it, in words
    checks          what no section can see alone

Nothing here runs anything; what is loaded is handed to the parts of the gateway by its composition root.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from gateway.config import checks, presets
from gateway.config.include import read_all
from gateway.config.json_schema import schema
from gateway.config.library import Library
from gateway.config.model import NAMED, Config
from gateway.config.overrides import override
from gateway.config.problem import ConfigurationError, Problem, in_order
from gateway.config.validation import validate

__all__ = ["Config", "ConfigurationError", "Library", "Loaded", "Problem", "library", "load", "schema"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A configuration that can be used.

    `presets` are those of the sources that use one, by source, and `library` has all that there are. `files` are all
    that were read. `hash` is the same for the same settings, wherever they come from and whether written or left to
    their defaults; secrets count.
    """

    config: Config
    warnings: list[Problem]
    presets: Mapping[str, str]
    library: Library
    files: tuple[Path, ...]
    hash: str


def load(path: Path, environ: Mapping[str, str]) -> Loaded:
    """The configuration in a file. Raises `ConfigurationError` with all that is wrong with it."""
    problems: list[Problem] = []
    written, files = read_all(path, environ, problems)
    written = override(written, environ, NAMED, problems)
    known = presets.opened(written, path.parent, problems)
    tree = presets.write_out(written, known, problems)
    config, broken = validate(tree, written, known, problems)
    checked = checks.Checked(config=config, tree=tree, written=written, broken=broken)
    problems.extend(checks.errors(checked))
    if problems:
        raise ConfigurationError(problems)
    return Loaded(
        config=config,
        warnings=in_order(checks.warnings(checked)),
        presets=presets.chosen(written, "sources"),
        library=known,
        files=files,
        hash=_hash(config),
    )


def library(path: Path, environ: Mapping[str, str]) -> Library:
    """The presets that a configuration can use, whatever else is wrong with it. Raises `ConfigurationError`."""
    problems: list[Problem] = []
    written, _ = read_all(path, environ, [])
    found = presets.opened(override(written, environ, NAMED, []), path.parent, problems)
    if problems:
        raise ConfigurationError(problems)
    return found


def _hash(config: Config) -> str:
    canonical = json.dumps(config.model_dump(), sort_keys=True, default=_in_clear)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _in_clear(value: object) -> str:
    return str(value.get_secret_value()) if isinstance(value, SecretStr) else str(value)
