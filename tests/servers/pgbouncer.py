"""A private pgbouncer in transaction mode: each transaction may take another connection to the database."""

import shutil
import socket
import tempfile
from pathlib import Path

from tests.servers.child import ChildProcess, unprivileged_user
from tests.servers.install import pgbouncer_program
from tests.servers.ports import free_port

CONNECTIONS = 4
"""To each database: so few that all who use it take turns on them."""

_SETTINGS = """
[databases]
* = host=127.0.0.1 port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = {connections}
idle_transaction_timeout = 5
"""


class PgBouncer:
    """In front of a PostgreSQL on this machine; close() removes everything."""

    def __init__(self, server_port: int) -> None:
        program = pgbouncer_program()
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="gateway-pgbouncer-"))
        user = unprivileged_user()
        if user:
            shutil.chown(self._folder, user)
        users, settings = self._folder / "users", self._folder / "pgbouncer.ini"
        users.write_text('"postgres" ""\n')
        settings.write_text(
            _SETTINGS.format(server_port=server_port, port=self.port, users=users, connections=CONNECTIONS)
        )
        self._server = ChildProcess([str(program), str(settings)], folder=self._folder, user=user)

    def url_of(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        self._server.start(self._accepts_connections)

    def close(self) -> None:
        self._server.stop()
        shutil.rmtree(self._folder)

    def _accepts_connections(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
