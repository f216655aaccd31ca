"""Running a command to its end: under a supervisor, with what it says heard as it comes.

The supervisor holds one end of a socket and kills the command, with all that it has started, when the other is closed:
by this module, or by the system where the gateway dies.
"""

import asyncio
import codecs
import contextlib
import io
import re
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.targets import supervise

MAX_LINE = 4096
"""Characters; longer lines are broken, so that a log of so many lines has a limit in size."""

_SUPERVISOR = (sys.executable, "-I", "-S", str(Path(supervise.__file__)))
_TERMINATE = b"T"
_CHUNK = 2**16
_LAST = 5.0  # seconds in which whoever was killed ends; only what the gateway may not kill takes longer
_PIECE = re.compile(rf"[^\n]{{1,{MAX_LINE}}}")


class CannotStart(Exception):  # noqa: N818 - the word of the design
    """There is no such program or directory, or it may not be used; `errno` is the system's number for it."""

    def __init__(self, errno: int, reason: str) -> None:
        super().__init__(reason)
        self.errno = errno


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is run: no text holds a NUL, and `env` is all of its environment."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path | None
    stdin: bytes | None

    def packed(self) -> bytes:
        """As the supervisor takes it."""
        variables = [f"{name}={value}" for name, value in self.env.items()]
        texts = "\0".join([str(self.cwd or ""), str(len(self.argv)), *self.argv, *variables])
        packed = texts.encode(errors="surrogateescape")
        return len(packed).to_bytes(supervise.LENGTH, "big") + packed


async def run(order: Order, hear: Callable[[str], None], grace: Callable[[], float]) -> int:
    """The exit code, or the negative number of the signal that ended it.

    `hear` gets both of its outputs as text, in whole lines. Cancelled, it sends SIGTERM, kills after `grace` seconds,
    and raises `CancelledError` when nothing is left; cancelled again, it kills at once. What a command that has ended
    leaves behind is killed. Raises `CannotStart`, and `OSError` where the gateway cannot start anything.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = await _spawn(theirs.fileno(), with_stdin=order.stdin is not None)
        reports, control = await asyncio.open_connection(sock=ours)
    except BaseException:
        ours.close()
        raise
    rest = [
        asyncio.create_task(work)
        for work in (_feed(process.stdin, order.stdin), _hear(process.stdout, hear), process.wait())
    ]
    try:
        control.write(order.packed())
        return _exit_code(await _line(reports))
    except asyncio.CancelledError:
        control.write(_TERMINATE)
        await asyncio.wait([rest[-1]], timeout=grace())
        raise
    finally:
        control.close()
        await _end(rest)


async def _spawn(control: int, *, with_stdin: bool) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *_SUPERVISOR,
        str(control),
        stdin=asyncio.subprocess.PIPE if with_stdin else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={},
        pass_fds=[control],
        start_new_session=True,
    )


async def _feed(stdin: asyncio.StreamWriter | None, data: bytes | None) -> None:
    if stdin is None or data is None:
        return
    with contextlib.suppress(ConnectionError):  # it need not read what it is given
        stdin.write(data)
        await stdin.drain()
    stdin.close()


async def _hear(stdout: asyncio.StreamReader | None, hear: Callable[[str], None]) -> None:
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
    rest = ""
    while stdout and (chunk := await stdout.read(_CHUNK)):
        rest = _hear_lines(rest + decoder.decode(chunk), hear)
    _hear_lines(rest + decoder.decode(b"", final=True) + "\n", hear)


def _hear_lines(text: str, hear: Callable[[str], None]) -> str:
    """Passes lines on; what is left is the beginning of one."""
    lines = _PIECE.findall(text)
    rest = lines.pop() if lines and not text.endswith("\n") else ""
    if lines:
        hear("\n".join(lines))
    return rest


async def _line(reports: asyncio.StreamReader) -> str:
    """Empty where the supervisor was killed."""
    try:
        return (await reports.readline()).decode().strip()
    except ConnectionError:
        return ""


def _exit_code(report: str) -> int:
    """Raises `CannotStart`."""
    kind, _, value = report.partition(" ")
    if kind == "refused":
        errno, _, reason = value.partition(" ")
        raise CannotStart(int(errno), reason)
    return int(value) if value else -signal.SIGKILL  # which the command shares with its supervisor


async def _end(tasks: Sequence[asyncio.Task[object]]) -> None:
    _, left = await asyncio.wait(tasks, timeout=_LAST)
    for task in left:
        task.cancel()
