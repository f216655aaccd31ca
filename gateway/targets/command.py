"""The target kind `command`: a program on this machine, whose exit code says what became of the run.

Never a shell: each argument is passed as it is. What a template makes of its data cannot become an option.
"""

import asyncio
import errno
import os
import shlex
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, StringConstraints

from gateway.core.duration import Duration
from gateway.core.errors import TemplateError
from gateway.core.outcome import Outcome, PermanentFailure, RetryableFailure
from gateway.core.template import Template
from gateway.targets import base
from gateway.targets.answer import MAX_OUTPUT
from gateway.targets.display import masked, masked_arguments, masked_text, printable
from gateway.targets.exit import Exit, Rules, judge
from gateway.targets.process import CannotStart, Order, run
from gateway.targets.request import RequestTemplate

INHERITED = ("PATH", "HOME", "LANG", "TZ")
OWN = ("GATEWAY_RUN_ID", "GATEWAY_ATTEMPT", "GATEWAY_OUTPUT", "TRACEPARENT")
END_OF_OPTIONS = "--"
MAX_SAID = 64 * 1024
"""Characters at the end of what a command said that expressions see."""
_SHOWN = 2048


def _check_variable(name: str) -> str:
    if name in OWN:
        raise ValueError(f"{name} is set by the gateway")
    return name


def _check_folder(folder: Path) -> Path:
    if "\0" in str(folder):
        raise ValueError("a NUL in its name")
    return folder


Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,199}$"), AfterValidator(_check_variable)]


class Settings(Rules, base.Settings):
    """A target that is a program."""

    LATE_IS_UNREACHED: ClassVar[bool] = False

    kind: Literal["command"]
    argv: tuple[RequestTemplate, ...] = Field(
        min_length=1,
        description="The program and its arguments. One that a template lets begin with `-` is refused, "
        "unless it stands behind a `--` or begins so in this file.",
    )
    env: dict[Variable, RequestTemplate] = Field({}, description=f"Beside {', '.join((*INHERITED, *OWN))}.")
    stdin: RequestTemplate | None = Field(None, description="What the command reads; nothing where not given.")
    cwd: Annotated[Path, AfterValidator(_check_folder)] | None = Field(
        None, description="Where it runs; the gateway's own working directory by default."
    )
    grace: Duration = Field(timedelta(seconds=10), ge=timedelta(0), description="Between SIGTERM and SIGKILL.")

    def open(self) -> AbstractAsyncContextManager[base.Target]:
        return _open(self)


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[base.Target]:
    yield CommandTarget(settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandCall:
    """What will be run, but for the variables that name the attempt."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    stdin: str | None
    cwd: Path | None

    @property
    def shown(self) -> Mapping[str, Any]:
        return {
            "argv": masked_arguments(self.argv),
            "env": masked(self.env),
            "stdin": self.stdin and masked_text(self.stdin),
            "cwd": self.cwd and str(self.cwd),
        }


class CommandTarget:
    """Runs one target of kind `command`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        sources = [*settings.argv, *settings.env.values(), settings.stdin, settings.permanent, settings.output]
        self.names = frozenset[str]().union(*(source.names for source in sources if source)) - {"response"}

    def render(self, context: Mapping[str, Any]) -> CommandCall:
        settings = self.settings
        return CommandCall(
            argv=_arguments(settings.argv, context),
            env={name: _passable(f"env.{name}", template, context) for name, template in settings.env.items()},
            stdin=_text("stdin", settings.stdin, context) if settings.stdin else None,
            cwd=settings.cwd,
        )

    async def perform(self, call: CommandCall, attempt: base.Attempt) -> Outcome:
        attempt.log(printable(f"$ {shlex.join(masked_arguments(call.argv)):.{_SHOWN}}"))
        began = time.perf_counter()
        try:
            end = await self._run(call, attempt)
        except (CannotStart, OSError) as error:
            attempt.log(printable(f"cannot start: {error}"))
            return _not_started(error)
        attempt.log(f"{end.phrase} after {time.perf_counter() - began:.3f} s")
        return judge(end, self.settings, self.settings.retry, attempt.context)

    async def _run(self, call: CommandCall, attempt: base.Attempt) -> Exit:
        tail = ""

        def hear(text: str) -> None:
            nonlocal tail
            tail = f"{tail}{text}\n"[-MAX_SAID:]
            attempt.log(printable(text))

        def grace() -> float:
            return 0 if attempt.at_once else self.settings.grace.total_seconds()

        with tempfile.TemporaryDirectory(prefix="gateway-", ignore_cleanup_errors=True) as folder:
            written = Path(folder, "output.json")
            stdin = None if call.stdin is None else call.stdin.encode()
            env = {**_inherited(), **call.env, **_identity(attempt, written)}
            code = await run(Order(argv=call.argv, env=env, cwd=call.cwd, stdin=stdin), hear, grace)
            return Exit(code=code, said=tail, written=await asyncio.to_thread(_head, written))


def _arguments(templates: tuple[Template, ...], context: Mapping[str, Any]) -> tuple[str, ...]:
    """Raises `TemplateError`, also for an argument that only its data makes an option."""
    argv: list[str] = []
    for place, template in enumerate(templates):
        argument = _passable(f"argv[{place}]", template, context)
        is_free = END_OF_OPTIONS in argv[1:] or str(template.source).startswith("-")
        if argument.startswith("-") and not is_free:
            raise TemplateError(f"argv[{place}]: {argument!r:.60} would be an option; put `--` before it")
        argv.append(argument)
    if not argv[0]:
        raise TemplateError("argv[0]: no program")
    return tuple(argv)


def _passable(place: str, template: Template, context: Mapping[str, Any]) -> str:
    text = _text(place, template, context)
    if "\0" in text:
        raise TemplateError(f"{place}: a NUL")
    return text


def _text(place: str, template: Template, context: Mapping[str, Any]) -> str:
    try:
        text = template.text(context)
        text.encode()
    except (TemplateError, UnicodeEncodeError) as error:
        raise TemplateError(f"{place}: {error}") from error
    return text


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


def _identity(attempt: base.Attempt, written: Path) -> dict[str, str]:
    return dict(zip(OWN, (attempt.run_id, str(attempt.number), str(written), attempt.traceparent), strict=True))


def _head(written: Path) -> bytes:
    """What a command wrote, as far as it is of interest; nothing where it left something that cannot be read."""
    with suppress(OSError):
        if written.is_file():
            with written.open("rb") as file:
                return file.read(MAX_OUTPUT + 1)
    return b""


def _not_started(error: CannotStart | OSError) -> Outcome:
    """Only arguments that are too long are the run's own fault; all else may be put right."""
    reason = printable(f"cannot start: {error}")
    if error.errno == errno.E2BIG:
        return PermanentFailure(reason=f"{reason}; pass what is long in stdin")
    return RetryableFailure(reason=reason, reached=False)
