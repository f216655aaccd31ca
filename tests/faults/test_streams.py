"""X03: streams of events that break, fall silent or end too early, as a real gateway takes them."""

import asyncio
from pathlib import Path
from typing import Any

from tests.end_to_end.sending import caught, sent
from tests.gateway_client import GatewayClient
from tests.gateway_process import GatewayProcess
from tests.gateways import configuration, nodes_of, running
from tests.target_answer import Answer
from tests.target_server import TargetServer
from tests.waiting import until

STEP = b'event: step\ndata: {"progress": {"current": 1, "total": 4}}\n\n'
COMPLETE = b'event: complete\ndata: {"ok": true}\n\n'
FAILED = b'event: complete\ndata: {"ok": false, "message": "disk full"}\n\n'


def stream(*parts: bytes | float, reset: bool = False) -> Answer:
    return Answer(headers={"Content-Type": "text/event-stream"}, body=parts, reset=reset)


def node_of(
    folder: Path, target: TargetServer, *broken: str, server: dict[str, Any] | None = None, **calls: Any
) -> GatewayProcess:
    """One webhook, whose events each lead to a stream."""
    calls = {"kind": "sse", "retry": {"delays": ["50ms"], "attempts": 10}, **calls}
    config = configuration(target, "sqlite:///gateway.db", server=server, calls=calls)
    [node] = nodes_of(config, folder, broken=broken)
    return node


async def succeeds_at_last(folder: Path, *broken: str) -> None:
    """After every other way to end, each a failure with its reason, and under one key."""
    async with TargetServer(stream(STEP, COMPLETE)) as target:
        target.script.extend(
            [
                stream(STEP, 0.05, reset=True),
                stream(STEP, b"event: complete\ndata: {"),
                stream(STEP),
                stream(STEP, 30.0),
                stream(STEP, *((b": keepalive\n\n", 0.1) * 100)),
                stream(STEP, FAILED),
            ]
        )
        limits: dict[str, Any] = {"idle_timeout": "300ms", "progress_timeout": "700ms"}
        node = node_of(folder, target, *broken, breaker={"failures": 99}, **limits)
        async with running(node), GatewayClient(node.url) as client:
            [run_id] = (await client.send(sent(0))).run_ids
            run = await client.wait_for(run_id, "succeeded")

        reasons = [str(attempt["reason"]) for attempt in run["attempts"]]
        assert len(reasons) == 7
        assert reasons[1:6] == [
            "the stream ended without an event that says how the work ended",
            "the stream ended without an event that says how the work ended",
            "no byte within 300ms",
            "no event within 700ms",
            "the target reported complete: disk full",
        ]
        assert {call.idempotency_key for call in target.calls} == {run_id}
        assert [call.attempt for call in target.calls] == [1, 2, 3, 4, 5, 6, 7]
        assert (run["progress"]["current"], run["progress"]["total"]) == (1, 4)


async def test_x03_only_a_declared_end_is_a_success(tmp_path: Path) -> None:
    await succeeds_at_last(tmp_path / "right")
    with caught():
        await succeeds_at_last(tmp_path / "wrong", "streams-end-well")


async def test_x03_a_stream_that_dies_with_its_gateway_is_called_again_under_the_same_key(tmp_path: Path) -> None:
    async with TargetServer(stream(STEP, 30.0)) as target:
        node = node_of(tmp_path, target)
        async with running(node), GatewayClient(node.url) as client:
            [run_id] = (await client.send(sent(0))).run_ids
            await target.wait_for_calls(1)
            node.kill()
            target.answer = stream(STEP, COMPLETE)
            await node.start()
            run = await client.wait_for(run_id, "succeeded")

        assert [attempt["outcome"] for attempt in run["attempts"]] == ["lost", "succeeded"]
        assert [call.idempotency_key for call in target.calls] == [run_id, run_id]


async def test_x03_who_cancels_a_run_ends_its_stream(tmp_path: Path) -> None:
    async with TargetServer(stream(STEP, 30.0)) as target:
        node = node_of(tmp_path, target)
        async with running(node), GatewayClient(node.url) as client:
            [run_id] = (await client.send(sent(0))).run_ids
            await target.wait_for_calls(1)
            await client.do(f"runs/{run_id}/cancel")
            await client.wait_for(run_id, "cancelled", seconds=5)
            await nobody_listens(target)

        assert len(target.calls) == 1


async def test_x03_shut_down_it_leaves_no_stream_open(tmp_path: Path) -> None:
    async with TargetServer(stream(STEP, 30.0)) as target:
        node = node_of(tmp_path, target, server={"shutdown_grace": "200ms"})
        async with running(node), GatewayClient(node.url) as client:
            await client.send(sent(0))
            await target.wait_for_calls(1)
            async with asyncio.timeout(5):
                assert await node.terminate() == 0
            await nobody_listens(target)


async def nobody_listens(target: TargetServer) -> None:
    async def seen() -> int:
        return target.running

    await until(seen, 0, "streams that are open", seconds=5)
