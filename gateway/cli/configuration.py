"""The configuration, as commands need it: usable, or everything that is wrong with it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway import config
from gateway.cli.failure import Exit, Failure
from gateway.config import ConfigurationError, Library, Loaded
from gateway.config.library import bundled
from gateway.config.problem import Problem
from gateway.core.printable import one_line


def load(config_file: Path) -> Loaded:
    """The configuration in a file, with the environment. Raises `Failure`."""
    with _failing():
        return config.load(config_file, os.environ)


def library(config_file: Path) -> Library:
    """The presets that a configuration can use; without a configuration, those of the gateway. Raises `Failure`."""
    if not config_file.exists():
        return bundled()
    with _failing():
        return config.library(config_file, os.environ)


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        raise Failure("\n".join([_headline(error.problems), *described(error.problems)]), Exit.USAGE) from error


def described(problems: list[Problem]) -> list[str]:
    """A line for each."""
    return [f"  {one_line(str(problem))}" for problem in problems]


def _headline(problems: list[Problem]) -> str:
    return "The configuration cannot be used." if len(problems) == 1 else f"{len(problems)} problems to correct."
