"""Processes that share the work by role."""

from pathlib import Path
from typing import Any

from tests.gateway_client import GatewayClient
from tests.gateway_process import GatewayProcess
from tests.gateways import ROOT, configuration, running
from tests.target_server import TargetServer


def process(config: dict[str, Any], folder: Path, *roles: str) -> GatewayProcess:
    arguments = [argument for role in roles for argument in ("--role", role)]
    return GatewayProcess(config, folder / "-".join(roles), {"PYTHONPATH": str(ROOT)}, arguments)


async def test_one_accepts_and_another_carries_out(tmp_path: Path, postgres_url: str) -> None:
    async with TargetServer() as target:
        config = configuration(target, postgres_url)
        web, worker = process(config, tmp_path, "web"), process(config, tmp_path, "worker", "scheduler")
        async with running(web), GatewayClient(web.url) as client:
            [run_id] = (await client.send({"id": "1", "type": "sent"})).run_ids
            [alone] = (await client.get("status"))["nodes"]
            assert alone["targets"] == []
            assert (await client.run(run_id))["state"] == "queued"
            async with running(worker):
                await client.wait_for(run_id, "succeeded")
                assert sorted(len(node["targets"]) for node in (await client.get("status"))["nodes"]) == [0, 1]


async def test_whoever_is_not_web_answers_probes_only(tmp_path: Path) -> None:
    async with TargetServer() as target:
        worker = process(configuration(target, "sqlite:///gateway.db"), tmp_path, "worker")
        async with running(worker), GatewayClient(worker.url) as client:
            replies = {
                path: await client.request("GET", path) for path in ("/healthz", "/readyz", "/api/v1/status", "/")
            }
            hook = await client.send({"id": "1", "type": "sent"})

            assert [reply.status for reply in replies.values()] == [200, 200, 404, 404]
            assert hook.status == 404
            assert hook.headers["Content-Type"] == "application/problem+json"
            assert await worker.terminate() == 0
        [warning] = [line for line in worker.log_lines() if line["event"] == "gateway.roles_left_out"]
        assert warning["roles"] == ["web", "scheduler"]


async def test_whoever_is_no_worker_ends_at_once(tmp_path: Path) -> None:
    async with TargetServer() as target:
        web = process(configuration(target, "sqlite:///gateway.db"), tmp_path, "web")
        async with running(web), GatewayClient(web.url) as client:
            [run_id] = (await client.send({"id": "1", "type": "sent"})).run_ids
            assert (await client.run(run_id))["state"] == "queued"
            assert await web.terminate(seconds=5) == 0
        assert target.calls == []
