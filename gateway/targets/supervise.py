"""The program that stands between the gateway and a command, so that nothing of the command outlives the gateway.

It is run as a script, with the number of a socket. There it gets an order: its length in eight bytes, then texts with
NUL between them, which are the working directory, the number of arguments, the arguments, and `NAME=value` for each
variable. It answers with one line: `refused ERRNO REASON` or, once the command has ended, `exited CODE`. Every byte
after the order is a SIGTERM to the group of the command. The end of the socket kills whoever is left; it comes even
where the gateway is killed. The supervisor ends when nobody is left.

It starts with every command, so it imports little, and nothing of the gateway.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress

LENGTH = 8
_SET_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36  # of prctl(2)
_SURVIVED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)

_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else lambda *_: 0


def main(control: int) -> None:
    order = _read(control, int.from_bytes(_read(control, LENGTH), "big"))
    _prctl(_SET_CHILD_SUBREAPER, 1)  # who loses its parent within the command becomes a child of this process
    signals = _listen_to_signals()
    try:
        process = _start(order.decode(errors="surrogateescape"))
    except OSError as error:
        _tell(control, f"refused {error.errno} {error.strerror}: {error.filename}")
        return
    command = process.pid
    while _collect(command, control):
        ready, _, _ = select.select([control, signals], [], [])
        if signals in ready:
            os.read(signals, 4096)
        if control in ready:
            if not _hear(control):
                _kill_all(command)
                return
            _send(command, signal.SIGTERM)


def _read(control: int, size: int) -> bytes:
    """Raises `EOFError` where the gateway has gone before it gave its order."""
    data = b""
    while len(data) < size:
        chunk = os.read(control, size - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data


def _hear(control: int) -> bytes:
    """Empty at the end of the socket, which is a broken one where the gateway dies with a report unread."""
    try:
        return os.read(control, 1)
    except ConnectionError:
        return b""


def _tell(control: int, line: str) -> None:
    with suppress(OSError):  # the gateway may have gone
        os.write(control, f"{line}\n".encode(errors="replace"))


def _listen_to_signals() -> int:
    """Becomes readable at each signal. This process outlives those that end processes; the command does not."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in _SURVIVED:
        signal.signal(number, lambda *_: None)
    return reading


def _start(order: str) -> "subprocess.Popen[bytes]":
    """The command, in a session and group of its own. Raises `OSError`.

    To be kept: dropped, it would collect its process itself, and the exit code with it.
    """
    directory, count, *rest = order.split("\0")
    argv, variables = rest[: int(count)], rest[int(count) :]
    return subprocess.Popen(  # noqa: S603 - what runs is for the configuration to decide
        argv,
        cwd=directory or None,
        env=dict(variable.split("=", 1) for variable in variables),
        start_new_session=True,
        preexec_fn=_die_with_supervisor,  # noqa: PLW1509 - there are no threads here
    )


def _die_with_supervisor() -> None:
    _prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)


def _collect(command: int, control: int) -> bool:
    """Takes note of those that have ended; whether anybody is left."""
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return True
            if pid == command:
                _tell(control, f"exited {os.waitstatus_to_exitcode(status)}")
    return False


def _kill_all(command: int) -> None:
    """Kills the group, then in rounds whoever has left it: those below the killed become children of this process."""
    _send(command, signal.SIGKILL)
    with suppress(ChildProcessError):
        while True:
            for child in _children():
                with suppress(OSError):
                    os.kill(child, signal.SIGKILL)
            os.waitpid(-1, 0)


def _send(command: int, number: signal.Signals) -> None:
    with suppress(OSError):
        os.killpg(command, number)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as children:  # noqa: PTH123 - pathlib is slow to import
            return [int(pid) for pid in children.read().split()]
    except OSError:  # no Linux
        return []


if __name__ == "__main__":
    main(int(sys.argv[1]))
