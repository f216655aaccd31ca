"""Looking before leaping: what is explained is what then happens, and a new configuration is tried on what was."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import yaml

from tests.gateway_client import GatewayClient
from tests.gateway_process import GatewayProcess
from tests.gateways import ROOT, configuration, nodes_of, running
from tests.target_server import TargetServer

SENT = {"id": "1", "type": "sent"}


async def explain(node: GatewayProcess, *arguments: str) -> tuple[int, Any]:
    argv = [sys.executable, "-m", "gateway", "explain", *arguments, "--json"]
    environment = {**os.environ, "GATEWAY_URL": node.url, "PYTHONPATH": str(ROOT)}
    done = await asyncio.to_thread(subprocess.run, argv, env=environment, capture_output=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, orjson.loads(done.stdout)


async def test_what_is_explained_is_what_is_called_and_nothing_is_done(tmp_path: Path, database_url: str) -> None:
    async with TargetServer() as target:
        [node] = nodes_of(configuration(target, database_url), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            sent = (await client.send(SENT)).json
            await client.wait_until_idle()
            _, told = await explain(node, sent["event_id"])
            await client.wait_until_idle()

            [made], [explained], [call] = sent["decisions"], told["triggers"], target.calls
            assert (explained["trigger"], explained["decision"]) == (made["trigger"], made["decision"])
            assert explained["request"]["payload"] == call.json


async def test_a_configuration_is_tried_on_the_events_that_were(tmp_path: Path, database_url: str) -> None:
    async with TargetServer() as target:
        settings = configuration(target, database_url)
        [node] = nodes_of(settings, tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            await client.send(SENT)
            await client.send(SENT | {"id": "2"})
            await client.wait_until_idle()
            other = tmp_path / "other.yaml"
            other.write_text(node.config_path.read_text())
            same = await explain(node, "--since", "1h", "-c", str(other))
            stricter = yaml.safe_load(node.config_path.read_text())
            [trigger] = stricter["triggers"].values()
            trigger["when"] = "event.data.id == '2'"
            other.write_text(yaml.safe_dump(stricter))
            code, told = await explain(node, "--since", "1h", "-c", str(other))

            assert same == (0, {"events": 2, "changes": [], "targets": []})
            assert code == 1
            assert [(one["before"], one["after"], one["events"]) for one in told["changes"]] == [
                ("requested", "filtered", 1)
            ]
            assert [(one["runs_before"], one["runs_after"]) for one in told["targets"]] == [(2, 1)]
            assert len(target.calls) == 2
