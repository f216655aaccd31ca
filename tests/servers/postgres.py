"""A private PostgreSQL: own data, own port, nothing of the system's clusters touched."""

import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Literal, Self

from tests.servers.child import ChildProcess, unprivileged_user
from tests.servers.install import postgres_programs
from tests.servers.ports import free_port

StopMode = Literal["smart", "fast", "immediate"]

_STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_CLUSTER = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]


class PostgreSQL:
    """Keeps port and data over stop(), kill() and start(); close() removes everything.

    With a `primary` it begins as its standby, and replicates from it until it is promoted.
    """

    def __init__(self, *, fsync: bool = True, primary: Self | None = None) -> None:
        self.port = free_port()
        self._primary = primary
        self._programs = postgres_programs()
        self._user = unprivileged_user()
        self._folder = Path(tempfile.mkdtemp(prefix="gateway-postgres-"))
        if self._user:
            shutil.chown(self._folder, self._user)
        self._data = self._folder / "data"
        self._server = ChildProcess(
            [self._program("postgres"), "-D", str(self._data), *_options(self._folder, self.port, fsync=fsync)],
            folder=self._folder,
            user=self._user,
        )

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @property
    def running(self) -> bool:
        return self._server.running

    def start(self) -> None:
        if self.running:
            return
        if not self._data.exists():
            self._initialise()
        self._server.start(self._accepts_connections)

    def stop(self, mode: StopMode = "fast") -> None:
        self._server.stop(_STOP_SIGNALS[mode])

    def kill(self) -> None:
        """As in a power cut: no process of it gets to do anything more."""
        self._server.kill()

    def promote(self) -> None:
        """No standby any more: from now on it takes writes."""
        self.execute("SELECT pg_promote()")

    def set(self, setting: str, value: str) -> None:
        """For all databases; sessions learn of it a moment later."""
        self.execute(f"ALTER SYSTEM SET {setting} = '{value}'")
        self.execute("SELECT pg_reload_conf()")

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def create_database(self, name: str) -> str:
        self.execute(f'CREATE DATABASE "{name}"')
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str, *, database: str = "postgres") -> str:
        """Run one statement from outside, in no event loop; the rows come as lines, their fields parted by `|`."""
        psql = [self._program("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", statement, self.url_of(database)]
        return subprocess.run(psql, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def _program(self, name: str) -> str:
        return str(self._programs / name)

    def _initialise(self) -> None:
        new = [self._program("initdb"), *_CLUSTER]
        if self._primary:
            new = [self._program("pg_basebackup"), "--dbname", self._primary.url, "--write-recovery-conf", "--no-sync"]
        ChildProcess([*new, "-D", str(self._data)], folder=self._folder, user=self._user).run()

    def _accepts_connections(self) -> bool:
        is_ready = [self._program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(is_ready, check=False).returncode == 0


def _options(sockets: Path, port: int, *, fsync: bool) -> list[str]:
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": sockets,
        "max_connections": 100,
        "fsync": "on" if fsync else "off",
    }
    return [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
