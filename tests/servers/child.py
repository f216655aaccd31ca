"""A server as a child process: its log in a file, its end together with all processes it has started."""

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil


class ChildProcess:
    def __init__(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        self._argv = list(argv)
        self._folder = folder
        self._environment = environment
        self._user = user
        self._log = folder / f"{Path(self._argv[0]).name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def run(self, *, seconds: float = 60) -> None:
        """For a program that ends by itself."""
        self._process = self._spawn()
        if self._process.wait(seconds):
            raise RuntimeError(f"{self._argv[0]} failed:\n{self.log_tail()}")

    def start(self, ready: Callable[[], bool], *, seconds: float = 60) -> None:
        self._process = self._spawn()
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self._argv[0]} did not start:\n{self.log_tail()}")
            time.sleep(0.05)

    def stop(self, sign: signal.Signals = signal.SIGTERM, *, seconds: float = 30) -> None:
        """Ask it to end, and make it end if it does not."""
        if self._process is None:
            return
        self._process.send_signal(sign)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        if self._process is None:
            return
        kill_family(self._process)
        self._process = None

    def log_tail(self, lines: int = 30) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._argv,
                cwd=self._folder,
                env=self._environment,
                user=self._user,
                group=pwd.getpwnam(self._user).pw_gid if self._user else None,
                extra_groups=[] if self._user else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def unprivileged_user() -> str | None:
    """For servers that refuse to run as root; `None` where we are not."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def kill_family(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all below it: PostgreSQL and Erlang give their children groups of their own."""
    family = []
    with suppress(psutil.NoSuchProcess):
        eldest = psutil.Process(process.pid)
        family = [eldest, *eldest.children(recursive=True)]
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()
    while not all(_ended(member) for member in family):
        time.sleep(0.01)


def _ended(process: psutil.Process) -> bool:
    """Whether nothing of it works any more.

    Where nobody collects orphans, a zombie stays for ever; one whose threads are still ending still holds its sockets.
    """
    try:
        return not process.is_running() or (process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1)
    except psutil.NoSuchProcess:
        return True
