"""How a command ends."""

from enum import IntEnum

import click


class Exit(IntEnum):
    """What scripts may rely on."""

    DONE = 0
    RUN_FAILED = 1
    USAGE = 2
    TIMED_OUT = 3
    UNREACHABLE = 4


class Failure(click.ClickException):
    """Ends the command with a message on standard error; what comes from outside in it must be printable already."""

    def __init__(self, message: str, exit_code: Exit) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc] # click reads it from the instance


class Unreachable(Failure):
    """Nobody answers, or only somebody who says that it is down; later it may be different."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Exit.UNREACHABLE)
