"""Schemathesis reads the API's description, asks whatever that allows and forbids, and judges the answers by it."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.gateway_client import GatewayClient
from tests.gateways import configuration, nodes_of, running
from tests.target_server import TargetServer

TOKEN = "token-of-schemathesis"
SETTINGS = Path(__file__).with_name("schemathesis.toml")
COMMAND = (sys.executable, "-m", "schemathesis.cli", "--config-file", str(SETTINGS), "--no-color", "run")


@pytest.mark.timeout(300)
async def test_the_api_is_as_it_is_described(tmp_path: Path) -> None:
    async with TargetServer() as target:
        config = {
            **configuration(target, "sqlite:///gateway.db"),
            "access": {"tokens": [{"name": "all", "token": TOKEN, "role": "admin"}]},
            "schedules": {"nightly": {"cron": "0 1 * * *", "target": "sync"}},
        }
        [node] = nodes_of(config, tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            accepted = await client.send({"id": "1", "type": "sent"})
            [run_id], event_id = accepted.run_ids, accepted.json["event_id"]
            status, said = await _schemathesis(
                tmp_path, GATEWAY_URL=node.url, GATEWAY_TOKEN=TOKEN, RUN_ID=run_id, EVENT_ID=event_id
            )

    assert status == 0, said
    assert [line for line in node.log_lines() if line["event"].endswith(".failed")] == []


async def _schemathesis(folder: Path, **variables: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        f"{variables['GATEWAY_URL']}/openapi.json",
        cwd=folder,
        env={**os.environ, **variables},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, said.decode()
