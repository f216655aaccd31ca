"""One trace leads from an event through every attempt, whoever makes it, and whether or not anybody is told."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from gateway.core.trace import given, span_id
from gateway.runtime import tracing
from gateway.runtime.otel import LAST_WORDS, Exporter
from tests.gateway_client import GatewayClient
from tests.gateways import ROOT, configuration, nodes_of, running
from tests.metrics import Scraped
from tests.otlp import Collector
from tests.servers.ports import free_port
from tests.target_answer import Answer
from tests.target_server import Call, TargetServer
from tests.waiting import until
from tests.web.edges import OPEN
from tests.web.edges import running as running_edge

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = f"00-{TRACE}-{SPAN}-01"
SQLITE = "sqlite:///gateway.db"
SOON = {"retry": {"base": "10ms"}}


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    spans = InMemorySpanExporter()
    exporter = Exporter(SimpleSpanProcessor(spans))
    tracing.tell(exporter.tell)
    yield spans
    tracing.tell(None)
    exporter.end()


def settings(target: TargetServer) -> dict[str, Any]:
    return {
        "sources": {"hook": OPEN},
        "targets": {"sync": {"kind": "http", "url": target.url, **SOON}},
        "triggers": {"every": {"on": "hook", "target": "sync"}},
    }


def trace_of(call: Call) -> str:
    return call.headers["traceparent"].split("-")[1]


def span_of(call: Call) -> str:
    return call.headers["traceparent"].split("-")[2]


async def test_an_event_is_the_beginning_of_its_trace(tmp_path: Path, exported: InMemorySpanExporter) -> None:
    async with TargetServer() as target, running_edge(tmp_path, settings(target), dispatching=True) as gateway:
        target.script += [Answer(status=500)]
        event_id = (await gateway.post("/hooks/hook", json={})).json["event_id"]

        async def names() -> list[str]:
            return [span.name for span in exported.get_finished_spans()]

        expected = ["receive hook", "accept", "attempt sync", "settle", "attempt sync", "settle"]
        await until(names, expected, "spans")
    received, accepted, failed, _, succeeded, settled = exported.get_finished_spans()

    assert {f"{span.context.trace_id:032x}" for span in exported.get_finished_spans() if span.context} == {
        event_id.replace("-", "")
    }
    assert received.parent is None
    assert (received.kind, accepted.kind, failed.kind) == (SpanKind.SERVER, SpanKind.INTERNAL, SpanKind.CLIENT)
    for child, parent in ((accepted, received), (failed, received), (succeeded, received), (settled, succeeded)):
        assert child.parent
        assert parent.context
        assert child.parent.span_id == parent.context.span_id
    assert (failed.status.status_code, failed.status.description) == (
        StatusCode.ERROR,
        "answered 500 Internal Server Error",
    )
    assert succeeded.status.status_code is StatusCode.UNSET
    assert [span.attributes["gateway.attempt"] for span in (failed, succeeded) if span.attributes] == [1, 2]
    assert all((span.start_time or 0) <= (span.end_time or 0) for span in exported.get_finished_spans())
    for call, span in zip(target.calls, (failed, succeeded), strict=True):
        assert span.context
        assert call.headers["traceparent"] == f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"


async def test_a_sender_that_wants_no_trace_gets_none(tmp_path: Path, exported: InMemorySpanExporter) -> None:
    async with TargetServer() as target, running_edge(tmp_path, settings(target), dispatching=True) as gateway:
        await gateway.post("/hooks/hook", json={}, headers={"traceparent": f"00-{TRACE}-{SPAN}-00"})
        await until(lambda: _calls(target), 1, "calls")

    assert exported.get_finished_spans() == ()
    assert target.calls[0].headers["traceparent"].startswith(f"00-{TRACE}-")
    assert target.calls[0].headers["traceparent"].endswith("-00")


async def _calls(target: TargetServer) -> int:
    return len(target.calls)


@pytest.mark.parametrize(
    "header", ["", "00", SENT.upper(), f"{SENT}, {SENT}", "\x00", "00-" + "0" * 32 + f"-{SPAN}-01"]
)
async def test_a_header_that_is_no_trace_context_does_no_harm(
    tmp_path: Path, exported: InMemorySpanExporter, header: str
) -> None:
    async with TargetServer() as target, running_edge(tmp_path, settings(target)) as gateway:
        line = b"traceparent: " + header.replace("\x00", "\\x00").encode()
        head = b"POST /hooks/hook HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n"
        answer = await gateway.raw(head + line + b"\r\nContent-Length: 2\r\n\r\n{}")

    assert answer.startswith(b"HTTP/1.1 202 ")
    assert exported.get_finished_spans()[0].parent is None


async def test_one_trace_through_retries_a_chain_and_a_crash(tmp_path: Path, database_url: str) -> None:
    """From a sender's span to the last call of the chain, as a collector gets it."""
    async with TargetServer() as target, Collector() as collector:
        config = configuration(target, database_url, calls={**SOON, "timeout": "20s"})
        config["targets"]["next"] = {"kind": "http", "url": f"{target.url}/next"}
        config["triggers"]["chain"] = {"on": {"run": "sync", "state": "succeeded"}, "target": "next"}
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50", "NO_PROXY": "*"}
        [node] = nodes_of(config, tmp_path, env=environment)
        target.script += [Answer(status=500), Answer(delay=30)]
        async with running(node):
            async with GatewayClient(node.url) as client:
                await client.send({"id": "1", "type": "sent"}, traceparent=SENT)
                await until(lambda: _calls(target), 2, "calls before the crash")
                await until(collector.names, ["accept", "attempt sync", "receive hook", "settle"], "spans before it")
            node.kill()
            await node.start()
            await until(lambda: _calls(target), 4, "calls")
            expected = ["accept", *["attempt sync"] * 3, "attempt next", "receive hook", *["settle"] * 4]
            await until(collector.names, sorted(expected), "spans")
            async with GatewayClient(node.url) as client:
                page = (await client.request("GET", "/metrics")).body.decode()
            await node.terminate()

    assert [trace_of(call) for call in target.calls] == [TRACE] * 4
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    attempts = {span.span_id.hex() for span in collector.spans if span.name.startswith("attempt")}
    assert attempts == {span_of(call) for call in target.calls}
    [received] = collector.named("receive hook")
    assert received.parent_span_id.hex() == SPAN
    known = {span.span_id for span in collector.spans}
    assert all(span.parent_span_id in known for span in collector.spans if span is not received)
    assert collector.services == {"trigger-gateway"}
    second_life = Scraped.read(page)
    assert second_life.get("runs_total", target="sync", state="retrying") == 1
    assert second_life.get("attempt_duration_seconds_count", target="sync") == 1  # not of the one that was lost


async def test_the_header_is_the_same_with_nobody_to_tell(tmp_path: Path) -> None:
    async with TargetServer() as target:
        target.script += [Answer(status=500)]
        [node] = nodes_of(configuration(target, SQLITE, calls=SOON), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            reply = await client.send({"id": "1", "type": "sent"})
            await until(lambda: _calls(target), 2, "calls")
    [run_id] = reply.run_ids

    assert [trace_of(call) for call in target.calls] == [reply.json["event_id"].replace("-", "")] * 2
    assert [span_of(call) for call in target.calls] == [span_id(run_id, 1), span_id(run_id, 2)]
    assert all(given(call.headers["traceparent"]) for call in target.calls)


@asynccontextmanager
async def silent_collector() -> AsyncIterator[str]:
    """Takes connections, and never says a word."""
    writers = list[asyncio.StreamWriter]()
    port = free_port()
    async with await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", port):
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            for writer in writers:
                writer.transport.abort()


async def test_a_collector_that_does_not_answer_holds_nothing_up(tmp_path: Path) -> None:
    async with TargetServer() as target, silent_collector() as url:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "50", "NO_PROXY": "*"}
        [node] = nodes_of(configuration(target, SQLITE), tmp_path, env=environment)
        async with running(node), GatewayClient(node.url) as client:
            assert (await client.send({"id": "1", "type": "sent"})).status == 202
            await until(lambda: _calls(target), 1, "calls")
            began = time.monotonic()
            assert await node.terminate() == 0
            assert time.monotonic() - began < LAST_WORDS + 3


async def test_without_the_extra_it_says_so_and_goes_on(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden" / "opentelemetry"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError")
    async with TargetServer() as target:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "PYTHONPATH": f"{hidden.parent}:{ROOT}"}
        [node] = nodes_of(configuration(target, SQLITE), tmp_path, env=environment)
        async with running(node), GatewayClient(node.url) as client:
            await client.send({"id": "1", "type": "sent"}, traceparent=SENT)
            await until(lambda: _calls(target), 1, "calls")

    assert [line["event"] for line in node.log_lines() if line["level"] == "warning"] == ["tracing.off"]
    assert trace_of(target.calls[0]) == TRACE
