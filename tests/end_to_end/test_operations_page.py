"""What is there for operating the gateway: the container's files and the unit of systemd call what there is."""

import ast
import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gateway.config import load
from gateway.runtime.settings import Server
from tests.desk import Desk
from tests.docs.pages import DOCS, blocks
from tests.faults.publishing import channel_to, publish
from tests.gateway_client import GatewayClient
from tests.gateway_process import GatewayProcess
from tests.gateways import ROOT, running
from tests.servers.rabbitmq import RabbitMQ
from tests.target_server import TargetServer

PAGE = DOCS / "operations.md"
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())


def instructions(name: str) -> list[list[str]]:
    """The arguments of the instructions of the image that are called so, where they are written as lists."""
    found = re.findall(rf"^[^#\n]*\b{name} (\[.*\])$", DOCKERFILE, re.MULTILINE)
    return [ast.literal_eval(arguments) for arguments in found]


def test_the_image_is_built_from_what_there_is() -> None:
    copied = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if re.match(r"COPY (?!--)", line)]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()

    for file in {file for files in copied for file in files}:
        assert (ROOT / file).exists(), file
        assert f"!{Path(file).parts[0]}" in ignored, file


def test_the_image_serves_and_knows_that_it_is_healthy(tmp_path: Path) -> None:
    [entry], (health, serve) = instructions("ENTRYPOINT"), instructions("CMD")
    shutil.copy(ROOT / "config.example.yaml", tmp_path / "config.yaml")
    desk = Desk(tmp_path, {})

    assert [*entry, *serve] == ["gateway", "serve", "-c", "/etc/gateway/config.yaml"]
    python, *code = [part.replace("http://127.0.0.1:8080", desk.url) for part in health]
    assert python == "python"
    with desk.serving("config.yaml"):
        assert subprocess.run([sys.executable, *code], check=False).returncode == 0
    assert subprocess.run([sys.executable, *code], check=False, capture_output=True).returncode != 0


def composed(gateway: str, **others: str) -> dict[str, str]:
    """The environment of a composed gateway, with other addresses than there; its secrets are all the same."""
    given: dict[str, str] = COMPOSE["services"][gateway]["environment"]
    return {name: re.sub(r"\$\{[^}]*\}", "s3cr3t", value) for name, value in given.items()} | others


@pytest.mark.parametrize("name", ["gateway-1", "gateway-2"])
def test_a_composed_gateway_is_configured_and_ends_in_time(name: str) -> None:
    gateway = COMPOSE["services"][name]
    file, path, _ = gateway["volumes"][0].split(":")
    config = load(ROOT / file, composed(name)).config

    assert path == "/etc/gateway/config.yaml"
    assert gateway["ports"][0].endswith(f":{config.server.port}")
    assert int(gateway["stop_grace_period"].removesuffix("s")) > config.server.shutdown_grace.total_seconds()


@pytest.mark.postgres
@pytest.mark.rabbitmq
async def test_composed_gateways_take_what_is_posted_and_published(
    tmp_path: Path, postgres_url: str, rabbitmq: RabbitMQ
) -> None:
    text = (DOCS / "compose" / "config.yaml").read_text()
    config = yaml.load(text, yaml.BaseLoader) | {"server": {}}  # as YAML 1.1 has it, `on` would be true
    async with TargetServer() as target:
        elsewhere = {
            "GATEWAY__TARGETS__SYNC__URL": target.url,
            "GATEWAY__TRIGGERS__APPLICATION_CHANGED__DEBOUNCE": "200ms",
        }
        addresses = {"DATABASE_URL": postgres_url, "AMQP_URL": rabbitmq.url, "PYTHONPATH": str(ROOT)}
        nodes = [
            GatewayProcess(config, tmp_path / name, composed(name, **addresses, **elsewhere))
            for name in ("gateway-1", "gateway-2")
        ]
        async with running(*nodes), GatewayClient(nodes[0].url) as client, channel_to(rabbitmq.url) as channel:
            event = {"id": "1", "application": "netbox"}
            answer = await client.send(event, path="/hooks/deployments", **{"X-Token": "s3cr3t"})
            await publish(channel, "gateway.changes", b'{"application": "infrahub"}')
            await target.wait_for_calls(2)

    assert answer.status == 202
    assert sorted(call.json["subject"] for call in target.calls) == ["infrahub", "netbox"]


def test_the_unit_of_systemd_starts_what_there_is(tmp_path: Path) -> None:
    [unit] = blocks(PAGE, "ini")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(unit)
    service = parser["Service"]
    check, serve = (shlex.split(service[name])[1:] for name in ("ExecStartPre", "ExecStart"))
    (tmp_path / "config.yaml").write_text("{}")
    desk = Desk(tmp_path, {})

    assert (check[0], serve[0]) == ("check", "serve")
    assert "is valid" in desk.gateway(*_with_config(check))
    with desk.serving(_with_config(serve)[-1]):
        assert json.loads(desk.gateway("status", "--json"))["nodes"]
    assert float(service["TimeoutStopSec"]) > Server().shutdown_grace.total_seconds()


def _with_config(arguments: list[str]) -> list[str]:
    return [argument.replace("/etc/gateway/", "") for argument in arguments]
