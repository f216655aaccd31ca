"""Starting where it cannot: a gateway says why, in one line, and has begun nothing."""

import json
import socket
from pathlib import Path

from gateway.app import CANNOT_START
from tests.gateway_process import GatewayProcess

CONFIG = {"targets": {"sync": {"kind": "http", "url": "http://127.0.0.1:9/"}}}


async def test_an_address_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        node = GatewayProcess({**CONFIG, "server": {"port": taken.getsockname()[1]}}, tmp_path)
        node.spawn()
        assert await node.wait() == CANNOT_START
    last = json.loads(node.log_path.read_text().splitlines()[-1])
    assert last["event"] == "gateway.cannot_start"
    assert "address already in use" in last["reason"]
