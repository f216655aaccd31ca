"""A private RabbitMQ: own node, data, ports and port mapper, no plugins, nothing of the system's broker touched."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from tests.servers.child import ChildProcess
from tests.servers.install import rabbitmq_server
from tests.servers.ports import free_port

_PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"


class RabbitMQ:
    """Keeps port and data over stop(), kill() and start(); close() removes everything."""

    def __init__(self) -> None:
        server = rabbitmq_server()
        self.port = free_port()
        self._mapper_port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="gateway-rabbitmq-"))
        self._environment = _environment(self._folder, self.port, self._mapper_port)
        self._control = server.with_name("rabbitmqctl")
        # Erlang starts a port mapper that outlives it, unless there is one already.
        self._mapper = ChildProcess(["epmd"], folder=self._folder, environment=self._environment)
        self._broker = ChildProcess([str(server)], folder=self._folder, environment=self._environment)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    @property
    def running(self) -> bool:
        return self._broker.running

    def start(self) -> None:
        if not self._mapper.running:
            self._mapper.start(self._maps_ports)
        if not self.running:
            self._broker.start(self._speaks_amqp)

    def stop(self) -> None:
        self._broker.stop()

    def kill(self) -> None:
        """As in a power cut: no process of it gets to do anything more."""
        self._broker.kill()

    def close(self) -> None:
        self.stop()
        self._mapper.kill()
        shutil.rmtree(self._folder)

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl against this broker, and return what it prints."""
        command = [str(self._control), "-q", *arguments]
        return subprocess.run(
            command, check=True, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        ).stdout

    def _maps_ports(self) -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self._mapper_port)) == 0

    def _speaks_amqp(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(_PROTOCOL_HEADER)
                return bool(connection.recv(1))
        except OSError:
            return False


def _environment(folder: Path, port: int, mapper_port: int) -> dict[str, str]:
    (folder / "enabled_plugins").write_text("[].")
    (folder / "rabbitmq.conf").touch()
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(folder),  # of the Erlang cookie
        "ERL_EPMD_PORT": str(mapper_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"gateway-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
    }
