"""A gateway under way gets another configuration: all of it counts at once, and nothing accepted or begun is lost."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.faults.load import Load
from tests.gateway_client import GatewayClient, Reply
from tests.gateway_process import GatewayProcess
from tests.gateways import ROOT, configuration, nodes_of, running
from tests.target_answer import Answer
from tests.target_server import TargetServer
from tests.waiting import until

SQLITE = "sqlite:///gateway.db"
TOKEN = {"name": "ops", "token": "the-first-token", "role": "admin"}


@contextmanager
def rewritten(node: GatewayProcess) -> Iterator[Any]:
    """The configuration to be changed; at the end, another file takes its place."""
    config = yaml.safe_load(node.config_path.read_text())
    yield config
    written = node.config_path.with_suffix(".new")
    written.write_text(yaml.safe_dump(config))
    written.replace(node.config_path)


async def command(node: GatewayProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "gateway", "reload", *arguments]
    environment = {**os.environ, "GATEWAY_URL": node.url, "PYTHONPATH": str(ROOT)}
    return await asyncio.to_thread(subprocess.run, argv, env=environment, capture_output=True, text=True, check=False)


async def reload(client: GatewayClient) -> Any:
    reply = await client.request("POST", "/api/v1/reload")
    assert reply.status == 200, reply
    return reply.json


def sent(number: int) -> dict[str, Any]:
    return {"id": str(number), "type": "sent"}


async def in_force(client: GatewayClient) -> str:
    return str((await client.get("status"))["node"]["config_hash"])


async def test_triggers_come_and_go_at_a_signal(tmp_path: Path, database_url: str) -> None:
    async with TargetServer() as target:
        [node] = nodes_of(configuration(target, database_url), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            before = await in_force(client)
            with rewritten(node) as config:
                config["targets"]["other"] = {"kind": "http", "url": f"{target.url}/other"}
                config["triggers"] = {"new": {"on": "hook", "target": "other"}}
            node.send(signal.SIGHUP)

            async def swapped() -> bool:
                return await in_force(client) != before

            await until(swapped, True, "another configuration")
            decisions = (await client.send(sent(1))).json["decisions"]
            await client.wait_until_idle()

            assert [decision["trigger"] for decision in decisions] == ["new"]
            assert [call.path for call in target.calls] == ["/other"]
            [listed] = (await client.get("status"))["nodes"]
            assert listed["config_hash"] == await in_force(client)
            assert sorted(listed["targets"]) == ["other", "sync"]


async def test_a_command_reloads_and_says_what_came_of_it(tmp_path: Path) -> None:
    async with TargetServer() as target:
        [node] = nodes_of(configuration(target, SQLITE), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            same = await command(node)
            with rewritten(node) as config:
                config["server"] |= {"slots": 7, "lease": "9s"}
                config["database"]["url"] = "sqlite:///other.db"
                config["triggers"]["every"]["once"] = {"until": "finished"}
            changed = await command(node)
            node.config_path.write_text(node.config_path.read_text().replace("target: sync", "target: ghost"))
            broken = await command(node)

            shown = (await in_force(client))[:12]
            assert (same.returncode, same.stdout[:19]) == (0, "Nothing has changed")
            assert changed.returncode == 0
            assert changed.stdout.splitlines() == [
                f"Configuration {shown} is in force.",
                "server.lease has changed, which takes a restart.",
                "database has changed, which takes a restart.",
            ]
            assert "drops changes by choice" in changed.stderr
            assert broken.returncode == 2
            assert "triggers.every.target: " in broken.stderr
            assert f"{node.config_path}:" in broken.stderr
            assert (await client.send(sent(1))).status == 202


def _remove(file: Path) -> None:
    file.unlink()


def _make_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _empty(path: Path) -> None:
    """As it is while somebody writes it anew."""
    path.write_text("")


def _cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20] + b"\xff{")


def _blow_up(file: Path) -> None:
    with file.open("a") as open_file:
        open_file.write("#" * 50_000_000)


def _ask_for_the_unset(file: Path) -> None:
    file.write_text(file.read_text().replace("kind: http", "kind: ${NOT_SET}"))


@pytest.mark.parametrize("breaks", [_remove, _make_a_folder, _empty, _cut_off, _blow_up, _ask_for_the_unset])
async def test_a_broken_file_leaves_the_old_configuration_in_force(
    tmp_path: Path, breaks: Callable[[Path], None]
) -> None:
    async with TargetServer() as target:
        [node] = nodes_of(configuration(target, SQLITE), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            before = await in_force(client)
            breaks(node.config_path)
            reply = await client.request("POST", "/api/v1/reload")
            node.send(signal.SIGHUP)

            async def failures() -> int:
                return len([line for line in node.log_lines() if line["event"] == "config.reload_failed"])

            await until(failures, 2, "failed reloads")
            assert reply.status == 422
            assert all(str(node.config_path) in error["message"] for error in reply.json["errors"])
            assert reply.json["errors"]
            assert await in_force(client) == before
            assert len((await client.send(sent(1))).run_ids) == 1


async def test_secrets_and_tokens_count_at_once(tmp_path: Path) -> None:
    verify = {"scheme": "token", "name": "X-Token", "secret": "the-first-secret"}
    async with TargetServer() as target:
        config = configuration(target, SQLITE)
        config["sources"]["hook"]["verify"] = verify
        config["access"] = {"tokens": [TOKEN]}
        [node] = nodes_of(config, tmp_path)
        async with running(node), GatewayClient(node.url) as client:

            async def ask(token: str, method: str = "GET", path: str = "status") -> Reply:
                headers = {"Authorization": f"Bearer {token}"}
                return await client.request(method, f"/api/v1/{path}", headers=headers)

            with rewritten(node) as config:
                config["sources"]["hook"]["verify"]["secret"] = "the-second-secret"
                config["access"]["tokens"][0]["token"] = "the-second-token"
            assert (await ask("the-first-token", "POST", "reload")).status == 200

            assert (await client.send(sent(1), **{"X-Token": "the-first-secret"})).status == 401
            assert (await client.send(sent(1), **{"X-Token": "the-second-secret"})).status == 202
            assert (await ask("the-first-token")).status == 401
            assert (await ask("the-second-token")).status == 200
            assert (await ask("the-second-token", path="the-second-secret")).status == 404
        assert '"path":"/api/v1/***"' in node.log_path.read_text()
        assert "the-second-" not in node.log_path.read_text()


async def test_the_size_of_bodies_counts_at_once(tmp_path: Path) -> None:
    async with TargetServer() as target:
        [node] = nodes_of(configuration(target, SQLITE), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            with rewritten(node) as config:
                config["server"]["max_body"] = 10
            await reload(client)

            assert (await client.send(sent(1))).status == 413


async def test_a_source_that_stays_the_same_remembers_its_rate(tmp_path: Path) -> None:
    async with TargetServer() as target:
        config = configuration(target, SQLITE)
        config["sources"]["hook"]["rate"] = "1/h"
        [node] = nodes_of(config, tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            assert (await client.send(sent(1))).status == 202
            await reload(client)
            assert (await client.send(sent(2))).status == 429
            with rewritten(node) as config:
                config["sources"]["hook"]["rate"] = "2/h"
            await reload(client)
            assert (await client.send(sent(2))).status == 202


async def test_a_call_in_progress_ends_where_it_began(tmp_path: Path) -> None:
    """The next one goes to the new address."""
    async with TargetServer(Answer(delay=0.5)) as old, TargetServer() as new:
        [node] = nodes_of(configuration(old, SQLITE), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            [begun] = (await client.send(sent(1))).run_ids
            await old.wait_for_calls(1)
            [waiting] = (await client.send(sent(2))).run_ids
            with rewritten(node) as config:
                config["targets"]["sync"]["url"] = new.url
            await reload(client)
            await client.wait_until_idle()

            ended = [await client.run(run_id) for run_id in (begun, waiting)]
            assert [(run["state"], run["attempt"]) for run in ended] == [("succeeded", 1)] * 2
            assert [len(server.answered) for server in (old, new)] == [1, 1]
        assert "Unclosed" not in node.log_path.read_text()


async def test_runs_of_a_removed_target_wait_until_it_is_back(tmp_path: Path) -> None:
    async with TargetServer(Answer(delay=0.5)) as target:
        [node] = nodes_of(configuration(target, SQLITE), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            [begun] = (await client.send(sent(1))).run_ids
            await target.wait_for_calls(1)
            [waiting] = (await client.send(sent(2))).run_ids
            with rewritten(node) as config:
                removed = {section: config.pop(section) for section in ("targets", "triggers")}
            await reload(client)

            await client.wait_for(begun, "succeeded")
            told = await client.run(waiting)
            assert told["state"] == "queued"
            assert told["waiting_for"] == "a node that carries out runs of the target sync"
            with rewritten(node) as config:
                config.update(removed)
            await reload(client)
            await client.wait_for(waiting, "succeeded")


async def test_a_file_that_was_not_there_before_is_included(tmp_path: Path) -> None:
    async with TargetServer() as target:
        [node] = nodes_of({**configuration(target, SQLITE), "include": "more/*.yaml"}, tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            more = node.config_path.parent / "more"
            more.mkdir()
            (more / "late.yaml").write_text("sources: {late: {kind: webhook, verify: {scheme: none}}}")
            await reload(client)

            assert (await client.send({}, path="/hooks/late")).status == 202


async def test_a_storm_of_signals_loses_nothing(tmp_path: Path, database_url: str) -> None:
    async with TargetServer() as target:
        [node] = nodes_of(configuration(target, database_url, calls={"concurrency": 50}), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            async with Load([node.url]) as load:
                for number in range(50):
                    with rewritten(node) as config:
                        config["server"]["slots"] = 50 + number
                    node.send(signal.SIGHUP)
                    await asyncio.sleep(0.02)
            await client.wait_until_idle()

            runs = await client.runs()
            assert {run["state"] for run in runs} == {"succeeded"}
            assert {run["id"] for run in runs} == {
                run_id for reply in load.accepted.values() for run_id in reply.run_ids
            }
            assert len(target.calls) == len(runs) == len(load.accepted) > 50
            assert load.refused == []


async def test_a_signal_before_it_is_ready_ends_nothing(tmp_path: Path) -> None:
    """All but the first moments of the process, in which nobody could do anything about it."""
    async with TargetServer() as target:
        [node] = nodes_of(configuration(target, SQLITE), tmp_path)
        async with running(node):
            await node.terminate()
        node.spawn()
        try:
            await until(lambda: asyncio.to_thread(_holds_hangups, node.pid), True, "SIGHUP is held")
            for _ in range(20):
                node.send(signal.SIGHUP)
                await asyncio.sleep(0.01)
            await node.wait_until_ready()

            await until(lambda: _logged(node, "config.reloaded"), True, "a reload")
        finally:
            node.kill()


def _holds_hangups(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    [blocked] = [line.split()[1] for line in status.splitlines() if line.startswith("SigBlk:")]
    return bool(int(blocked, 16) & 1 << (signal.SIGHUP - 1))


async def _logged(node: GatewayProcess, event: str) -> bool:
    return any(line["event"] == event for line in node.log_lines())
