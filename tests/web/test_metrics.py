"""What a Prometheus gets: by whom, how fast, and how much of it, whatever comes in."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.runtime import scrape
from gateway.store.database import Database
from gateway.web.server import serving
from tests.metrics import Scraped
from tests.store.scene import event
from tests.waiting import until
from tests.web.conftest import SETTINGS
from tests.web.edges import ACCESS, OPEN, TOKENS, Gateway, running


async def scraped(gateway: Gateway) -> Scraped:
    answer = await gateway.get("/metrics")
    assert answer.status == 200
    return Scraped.read(answer.body.decode())


async def test_all_names_begin_alike(gateway: Gateway) -> None:
    """Whatever format is asked for: the one that every Prometheus reads."""
    answer = await gateway.get("/metrics", headers={"Accept": "application/openmetrics-text; version=x, */*;q=y"})

    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert all(name.startswith("gateway_") for name, _ in Scraped.read(answer.body.decode()).samples)


async def test_events_are_counted_by_source_and_decision(gateway: Gateway) -> None:
    before = await scraped(gateway)

    await gateway.post("/hooks/alarms", json={"uid": "a", "severity": "high"})
    await gateway.post("/hooks/alarms", json={"uid": "b", "severity": "low"})
    await gateway.post("/hooks/alarms", json={"uid": "a", "severity": "high"})
    after = await scraped(gateway)

    assert after.since(before, "events_total", source="alarms") == 2
    assert after.since(before, "decisions_total", source="alarms", decision="enqueued") == 1
    assert after.since(before, "decisions_total", source="alarms", decision="filtered") == 1
    assert after.since(before, "duplicate_deliveries_total", source="alarms") == 1
    assert after.since(before, "runs_total", target="sync", state="queued") == 1


async def test_what_has_not_happened_yet_is_counted_as_nothing(tmp_path: Path) -> None:
    """Else the first failure after a start would be no growth."""
    new = {"sources": {"silent": OPEN}, "targets": {"unused": SETTINGS["targets"]["sync"]}}
    async with running(tmp_path, new) as gateway:
        now = await scraped(gateway)

    assert now.get("events_total", source="silent") == 0
    assert now.get("decisions_total", source="silent", decision="error") == 0
    assert now.get("runs_total", target="unused", state="failed") == 0
    assert now.get("runs_total", target="unused", state="running") is None


async def test_runs_by_hand_are_counted(gateway: Gateway) -> None:
    before = await scraped(gateway)

    await gateway.post("/api/v1/targets/sync/run", json={})
    after = await scraped(gateway)

    assert after.since(before, "events_total", source="api") == 1
    assert after.since(before, "runs_total", target="sync", state="queued") == 1


async def test_what_a_source_refuses_or_ignores_is_counted(tmp_path: Path) -> None:
    alarms = OPEN | {"rate": "1/h", "ignore": "body.kind == 'heartbeat'"}
    async with running(tmp_path, {"sources": {"alarms": alarms, "strict": OPEN}}) as gateway:
        before = await scraped(gateway)

        await gateway.post("/hooks/strict", data=b"{")
        await gateway.ask("DELETE", "/hooks/strict")
        await gateway.post("/hooks/alarms", json={"kind": "heartbeat"})
        await gateway.post("/hooks/alarms", json={"kind": "heartbeat"})
        after = await scraped(gateway)

    assert after.since(before, "rejected_requests_total", source="strict", status="400") == 1
    assert after.since(before, "rejected_requests_total", source="strict", status="405") == 1
    assert after.since(before, "ignored_events_total", source="alarms") == 1
    assert after.since(before, "rejected_requests_total", source="alarms", status="429") == 1


async def test_requests_are_counted_by_the_template_of_their_path(gateway: Gateway) -> None:
    before = await scraped(gateway)

    await gateway.post("/hooks/alarms", json={})
    await gateway.get("/api/v1/runs/nothing")
    await gateway.get("/hooks/nothing")
    await gateway.get("/nothing/at?all=1")
    after = await scraped(gateway)

    assert after.since(before, "http_requests_total", route="/hooks/{name}", status="202") == 1
    assert after.since(before, "http_requests_total", route="/hooks/{name}", status="404") == 1
    assert after.since(before, "http_requests_total", route="/api/v1/runs/{id}", status="404") == 1
    assert after.since(before, "http_requests_total", route="/{path}", status="404") == 1
    assert after.since(before, "http_requests_total", route="/metrics", status="200") == 1


async def test_what_waits_is_read_from_the_database(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "FRESH_FOR", 0.0)
    monkeypatch.setattr(scrape, "BUSY", 0)
    for _ in range(2):
        await gateway.post("/api/v1/targets/sync/run", json={})
    await gateway.post("/api/v1/targets/other/pause", json={})
    now = await scraped(gateway)

    assert now.get("store_up") == 1
    assert (now.get("waiting_runs", target="sync"), now.get("waiting_runs", target="other")) == (2, 0)
    assert 0 < (now.get("oldest_waiting_seconds", target="sync") or 0) < 60
    assert (now.get("running_runs", target="sync"), now.get("breaker_open", target="sync")) == (0, 0)
    assert (now.get("target_paused", target="sync"), now.get("target_paused", target="other")) == (0, 1)
    assert (now.get("leader"), now.get("schedule_lag_seconds")) == (0, 0)


async def test_messages_that_cannot_be_read_are_counted(gateway: Gateway) -> None:
    before = await scraped(gateway)

    await gateway.edge.intake.accept([event(source="alarms", rejection="no JSON"), event(source="alarms")])
    after = await scraped(gateway)

    assert after.since(before, "parked_messages_total", source="alarms") == 1
    assert after.since(before, "events_total", source="alarms") == 2


async def test_schedules_of_the_api_share_one_name(gateway: Gateway) -> None:
    before = await scraped(gateway)

    await gateway.edge.intake.accept([event(source=f"made-by-api-{number}") for number in range(3)])
    after = await scraped(gateway)

    assert after.since(before, "events_total", source="(other)") == 3


async def test_whether_queues_are_consumed_is_seen(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    states = {"alarms": "degraded: the connection was lost", "removed": "ok"}
    monkeypatch.setattr(gateway.edge.health, "_states_of_sources", lambda: states)
    now = await scraped(gateway)

    assert now.get("amqp_connected", source="alarms") == 0
    assert now.get("amqp_connected", source="removed") is None


async def test_many_scrapers_are_one_to_the_database(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    async def loads(database: Database) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {}

    monkeypatch.setattr(scrape, "loads_of_targets", loads)

    await asyncio.gather(*(scraped(gateway) for _ in range(20)))

    assert asked == 1


async def test_a_scrape_without_the_database_has_what_this_node_counts(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: Database) -> None:
        raise OSError

    monkeypatch.setattr(scrape, "loads_of_targets", gone)
    now = await scraped(gateway)

    assert now.get("store_up") == 0
    assert now.get("build_info", version="0.1.0") == 1
    assert (now.get("waiting_runs", target="sync"), now.get("leader")) == (None, None)


async def test_a_scrape_does_not_wait_for_a_database_that_hangs(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = asyncio.Event()

    async def hang(_: Database) -> dict[str, Any]:
        await answers.wait()
        return {}

    monkeypatch.setattr(scrape, "loads_of_targets", hang)
    monkeypatch.setattr(scrape, "PATIENCE", 0.05)
    during = await scraped(gateway)
    answers.set()

    async def is_up() -> bool:
        return (await scraped(gateway)).get("store_up") == 1

    assert during.get("store_up") == 0
    await until(is_up, True, "the database is back")


async def test_what_the_configuration_no_longer_has_is_forgotten(gateway: Gateway) -> None:
    await gateway.post("/hooks/alarms", json={"severity": "high"})
    before = await scraped(gateway)
    current = gateway.edge.current
    current.swap(replace(current.snapshot, targets={}, sources={}, triggers={}))
    after = await scraped(gateway)

    assert before.get("runs_total", target="sync", state="queued")
    assert before.get("events_total", source="alarms")
    assert not [labels for _, labels in after.samples if ("target", "sync") in labels or ("source", "alarms") in labels]


async def test_s19_nothing_that_is_sent_makes_another_series(tmp_path: Path) -> None:
    """Ten thousand ids, types and subjects in batches, as many paths, and names of sources that there are not."""
    split = OPEN | {
        "split": "{{ body }}",
        "event": {"id": "{{ item.id }}", "type": "{{ item.id }}"},
        "reply": "minimal",
    }
    trigger = {"on": "batches", "target": "sync", "when": "event.type == 'none'"}
    settings = {**SETTINGS, "sources": {"batches": split}, "triggers": {"never": trigger}}
    async with running(tmp_path, settings) as gateway:
        await _attack(gateway, 1)
        before = await scraped(gateway)

        await _attack(gateway, 1000)
        after = await scraped(gateway)
        began = time.process_time()
        page = await gateway.edge.scrape.page()
        took = time.process_time() - began

    assert after.since(before, "events_total", source="batches") == 10_000
    assert after.since(before, "http_requests_total", route="/{path}", status="404") == 10_000
    assert after.samples.keys() == before.samples.keys()
    assert took < 0.2
    assert len(page) < 100_000


async def _attack(gateway: Gateway, size: int) -> None:
    for number in range(10):
        batch = [{"id": f'{size} "{{evil="{size * number + each}"}}\n'} for each in range(size)]
        assert (await gateway.post("/hooks/batches", json=batch)).status == 202
        made_up = {"source": f"evil-{size}-{number}", "type": "evil", "data": {}}
        assert (await gateway.post("/api/v1/events", json=made_up)).status == 404
        paths = b"".join(b"GET /%d%%22/%d HTTP/1.1\r\nHost: a\r\n\r\n" % (number, each) for each in range(size - 1))
        last = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        assert (await gateway.raw(paths + last, seconds=30)).count(b"HTTP/1.1 404") == size


async def test_a_viewer_may_look(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS | {"access": ACCESS}) as gateway:
        statuses = [(await gateway.get("/metrics", token=token)).status for token in (None, "wrong", *TOKENS.values())]

        assert statuses == [401, 401, 200, 200, 200]
        assert (await gateway.post("/metrics", token=TOKENS["viewer"])).status == 405
        assert (await gateway.ask("HEAD", "/metrics", token=TOKENS["viewer"])).status == 200


async def test_a_node_without_api_has_metrics_all_the_same(gateway: Gateway) -> None:
    async with serving(gateway.edge, probes_only=True) as (_, url), aiohttp.ClientSession() as session:
        async with session.get(f"{url}/metrics") as response:
            assert response.status == 200
        async with session.get(f"{url}/api/v1/status") as response:
            assert response.status == 404
