"""What files say of schedules, read as strictly as a configuration; references are filled in from the environment."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from gateway.cli.configuration import described
from gateway.cli.failure import Exit, Failure
from gateway.config.include import INCLUDE, read_all
from gateway.config.interpolation import Interpolation
from gateway.config.problem import ConfigurationError, Problem
from gateway.config.reader import UnreadableError, read
from gateway.config.tree import Mapping, plain
from gateway.core.printable import one_line

SECTION = "schedules"


def read_fields(file: BinaryIO) -> dict[str, Any]:
    """The fields of one schedule. Raises `Failure`."""
    name = getattr(file, "name", "-")  # standard input need not have one
    problems: list[Problem] = []
    try:
        tree = read(name, file.read(), Interpolation(os.environ, Path(name).parent), problems)
    except UnreadableError as error:
        raise _failure([error.problem]) from error
    if problems:
        raise _failure(problems)
    if not isinstance(tree, Mapping):
        raise Failure(f"{one_line(name)} holds no fields, such as cron: and target:", Exit.USAGE)
    return {key: plain(node) for key, node in tree.items.items()}


def read_schedules(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The schedules of a configuration by name, and what is wrong with those that cannot even be read.

    Of the other sections nothing is expected. Raises `Failure`.
    """
    problems: list[Problem] = []
    try:
        tree, _ = read_all(path, os.environ, problems)
    except ConfigurationError as error:
        raise _failure(error.problems) from error
    about = [(problem.path.split("."), problem) for problem in problems]
    if wrong := [problem for steps, problem in about if steps in ([SECTION], [INCLUDE])]:
        raise _failure(wrong)
    section = tree.items.get(SECTION)
    if not isinstance(section, Mapping):
        raise Failure(f"{one_line(str(path))} has no schedules: in it", Exit.USAGE)
    unreadable = {steps[1]: str(problem) for steps, problem in about if steps[0] == SECTION}
    return {name: plain(node) for name, node in section.items.items()}, unreadable


def _failure(problems: Iterable[Problem]) -> Failure:
    return Failure("\n".join(["It cannot be read.", *described(list(problems))]), Exit.USAGE)
