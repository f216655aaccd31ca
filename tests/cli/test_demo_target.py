"""`gateway demo-target`: an endpoint that shows what it is called with."""

import socket
from datetime import timedelta

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.cli.demo_target import demo
from tests.cli.conftest import Run


def headers(attempt: int) -> dict[str, str]:
    return {"X-Gateway-Run-Id": "0199-r", "X-Gateway-Attempt": str(attempt)}


async def test_the_first_attempts_of_a_run_fail(capsys: pytest.CaptureFixture[str]) -> None:
    async with TestClient(TestServer(demo(fail=2, delay=timedelta(0)))) as client:
        statuses = [
            (await client.post("/sync", json={"site": "a"}, headers=headers(attempt))).status for attempt in (1, 2, 3)
        ]

    assert statuses == [503, 503, 200]
    assert "run 0199-r  attempt 3  → 200\n    {\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "body", [b"\x1b[2J\n\xff", b'{"a": "\xe2\x80\xae"}', b"", b'["\\u001b"]', b"[" * 300 + b"]" * 300]
)
async def test_s10_a_call_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str], body: bytes) -> None:
    async with TestClient(TestServer(demo(fail=0, delay=timedelta(0)))) as client:
        assert (await client.post("/sync", data=body, headers={"X-Gateway-Run-Id": "\u202e"})).status == 200

    assert [line for line in capsys.readouterr().out.splitlines() if not line.isprintable()] == []


def test_a_port_in_use_is_told(gateway: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = gateway("demo-target", "--port", str(taken.getsockname()[1]))

    assert result.exit_code == 2
    assert "Cannot listen on port" in result.stderr
