"""What somebody has who uses the gateway: a folder with files, an environment, and terminals to type commands into."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.gateways import ROOT
from tests.servers.child import kill_family
from tests.servers.ports import free_port


class Desk:
    """Commands find the gateway that is served here; `environment` is what is set besides."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.folder = folder
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "GATEWAY__SERVER__PORT": str(port),
            "GATEWAY_URL": self.url,
            **environment,
        }

    def gateway(self, *arguments: str) -> str:
        """What a command prints that ends by itself, and well."""
        command = [sys.executable, "-m", "gateway", *arguments]
        done = subprocess.run(
            command, check=False, cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, f"gateway {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def terminal(self, *arguments: str) -> Iterator[Path]:
        """A command that goes on; gives the file of what it prints."""
        screen = self.folder / f"{arguments[0]}.txt"
        with screen.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "gateway", *arguments],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield screen
        finally:
            kill_family(process)

    @contextmanager
    def serving(self, configuration: str) -> Iterator[Path]:
        """A gateway that is ready; gives its log."""
        with self.terminal("serve", "-c", configuration) as log:
            wait_for(lambda: "gateway.ready" in log.read_text(), "it serves")
            yield log


def wait_for(shown: Callable[[], bool], what: str, *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not shown():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
