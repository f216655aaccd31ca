"""What can be paused and resumed, as the command line names it."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from gateway.core.printable import one_line

F = TypeVar("F", bound=Callable[..., Any])

EVERYTHING = "everything"
KINDS = ("target", "trigger", "source", "schedule", EVERYTHING)

_ARGUMENTS = (
    click.argument("kind", type=click.Choice(KINDS)),
    click.argument("name", required=False),
    click.option("--key", help="Only what is requested under this key."),
)


def pausable(command: F) -> F:
    """A command on something that can be paused: it takes `kind`, `name` and `key`."""
    for argument in reversed(_ARGUMENTS):
        command = argument(command)
    return command


def path_of(kind: str, name: str | None) -> tuple[str, ...]:
    """Where the API has it. Raises `UsageError` unless it has a name, which everything has not."""
    if kind == EVERYTHING and name is not None:
        raise click.UsageError("everything has no NAME")
    if kind != EVERYTHING and name is None:
        raise click.UsageError(f"Missing argument 'NAME': which {kind}?")
    return () if name is None else (f"{kind}s", name)


def called(kind: str, name: str | None, key: str | None) -> str:
    """It, at the beginning of a sentence."""
    it = kind if name is None else f"the {kind} {one_line(name)}"
    text = it if key is None else f"the key {one_line(key)} of {it}"
    return text[0].upper() + text[1:]
