"""The page about alerts: its configurations work as they stand, and do what it says."""

from pathlib import Path
from typing import Any

import orjson
import yaml  # BaseLoader: as YAML 1.1 has it, `on` would be true

from tests.docs.pages import DOCS, blocks
from tests.gateway_client import GatewayClient
from tests.gateway_process import GatewayProcess
from tests.gateways import nodes_of, running
from tests.target_answer import Answer
from tests.target_server import TargetServer

PAGE = DOCS / "alerts.md"
ALERTS, CHAINS = (yaml.load(text, yaml.BaseLoader) for text in blocks(PAGE, "yaml"))
[MESSAGE] = blocks(PAGE, "json")


def node_of(config: dict[str, Any], folder: Path, **urls: str) -> GatewayProcess:
    [node] = nodes_of({**config, "database": {"url": "sqlite:///gateway.db"}}, folder, env=urls)
    return node


async def test_what_the_page_says_is_told(tmp_path: Path) -> None:
    async with TargetServer(Answer(status=500)) as inventory, TargetServer() as chat:
        config = {**ALERTS, "targets": {**ALERTS["targets"]}}
        config["targets"]["inventory"] = {
            **config["targets"]["inventory"],
            "retry": {"attempts": 3, "delays": ["10ms"]},
        }
        node = node_of(config, tmp_path, INVENTORY_URL=inventory.url, CHAT_URL=chat.url)
        async with running(node), GatewayClient(node.url) as client:
            for number in range(2):
                await client.send({"id": number}, path="/hooks/changes")
                await inventory.wait_for_calls(3 + 2 * number)
            await chat.wait_for_calls(1)
            inventory.answer = Answer()
            await client.wait_until_idle(seconds=40)
            await client.send({"id": 3}, path="/hooks/changes")
            await client.wait_until_idle()
            failing, recovered = [call.json["text"] for call in chat.calls if "paused" not in call.json["text"]]

            said, _, _ = orjson.loads(MESSAGE)["text"].partition("0198")
            assert failing.startswith(said)
            assert recovered.startswith("changed: recovered")


async def test_what_the_page_says_is_chained(tmp_path: Path) -> None:
    async with TargetServer(Answer.of_json({"sha": "c0ffee"})) as target:
        config = {"sources": ALERTS["sources"], **CHAINS}
        node = node_of(config, tmp_path, BUILD_URL=target.url, DEPLOY_URL=target.url)
        async with running(node), GatewayClient(node.url) as client:
            await client.send({"author": "ann"}, path="/hooks/changes")
            build, deploy = await target.wait_for_calls(2)

            assert (build.path, deploy.path) == ("/build", "/deploy")
            assert deploy.json == {"sha": "c0ffee", "asked_by": "ann"}
