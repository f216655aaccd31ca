"""Ports for servers that are started, killed and started again on the same one."""

import random
import socket


def free_port() -> int:
    """Below the ephemeral range: there an outgoing connection could take the port while its server is down."""
    while True:
        port = random.randrange(12_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
