"""What the API shows and does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.target_answer import Answer as Say
from tests.target_server import TargetServer
from tests.web.conftest import SETTINGS, TARGET
from tests.web.edges import OPEN, Gateway, running

RUN = {
    *("id", "state", "target", "trigger", "schedule", "key", "payload", "created_at", "due_at", "started_at"),
    *("finished_at", "attempt", "events", "scheduled_for", "late_by", "missed", "progress", "output", "reason"),
    *("waiting_for", "requested_by", "retried_from", "superseded_by", "origin_event_id"),
}
EVENT = {
    *("id", "sender_id", "source", "type", "subject", "time", "data", "object", "changed", "headers"),
    *("received_at", "deliveries", "decisions", "run_ids", "replay_of"),
}
ATTEMPT = {"number", "node", "started_at", "finished_at", "outcome", "status", "reason", "log"}


@asynccontextmanager
async def _working(folder: Path, target: TargetServer) -> AsyncIterator[Gateway]:
    settings = {"kind": "http", "url": target.url, "retry": {"attempts": 1}}
    async with running(folder, {"targets": {"sync": settings}}, dispatching=True) as gateway:
        yield gateway


async def _run(gateway: Gateway, **body: Any) -> dict[str, Any]:
    answer = await gateway.post("/api/v1/targets/sync/run", json=body)
    assert answer.status == 202
    run: dict[str, Any] = answer.json
    return run


async def test_a_run_by_hand_is_waited_for_until_it_has_ended(tmp_path: Path) -> None:
    async with TargetServer() as target, _working(tmp_path, target) as gateway:
        answer = await gateway.post("/api/v1/targets/sync/run?wait=10s", json={"payload": {"site": "ams"}})
        [call] = target.calls

    run = answer.json
    assert answer.status == 200
    assert run["state"] == "succeeded"
    assert run["requested_by"] == "local"
    assert call.json == {"site": "ams"} == run["payload"]
    assert call.idempotency_key == run["id"]
    assert run.keys() >= RUN | {"event_ids", "attempts"}
    assert [attempt.keys() for attempt in run["attempts"]] == [ATTEMPT]
    assert datetime.fromisoformat(run["finished_at"]).tzinfo == UTC
    assert run["finished_at"].endswith("Z")


async def test_a_run_that_does_not_end_in_time_is_answered_as_it_is(tmp_path: Path) -> None:
    async with TargetServer(Say(delay=5)) as target, _working(tmp_path, target) as gateway:
        answer = await gateway.post("/api/v1/targets/sync/run?wait=200ms", json={})

        assert answer.status == 202
        assert answer.json["state"] == "running"

        cancelled = await gateway.post(f"/api/v1/runs/{answer.json['id']}/cancel", json={"reason": "too slow"})
        assert cancelled.status == 202
        assert cancelled.json["id"] == answer.json["id"]


async def test_who_waits_is_answered_when_the_gateway_stops(gateway: Gateway) -> None:
    waiting = asyncio.create_task(gateway.post("/api/v1/targets/sync/run?wait=1h", json={}))
    await asyncio.sleep(0.1)
    gateway.edge.health.stopping = True

    async with asyncio.timeout(3):
        assert (await waiting).status == 202


async def test_a_run_without_a_body_has_an_empty_payload(gateway: Gateway) -> None:
    answer = await gateway.post("/api/v1/targets/sync/run")

    assert answer.status == 202
    assert answer.json["payload"] == {}
    assert answer.json["state"] == "queued"


async def test_runs_by_hand_with_one_key_meet(gateway: Gateway) -> None:
    first = await _run(gateway, key="a", payload={"n": 1})
    second = await _run(gateway, key="a", payload={"n": 2})
    other = await _run(gateway, key="b")

    assert second["id"] == first["id"] != other["id"]
    assert second["payload"] == {"n": 2}
    assert second["events"] == 2


async def test_a_run_may_be_due_later(gateway: Gateway) -> None:
    due_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)  # noqa: TID251 - a time to come

    run = await _run(gateway, due_at=due_at.isoformat())

    assert run["due_at"] == due_at.isoformat().replace("+00:00", "Z")
    assert run["waiting_for"] == "its due time"


async def test_a_cancelled_run_stays_so_and_can_be_retried(gateway: Gateway) -> None:
    run = await _run(gateway, payload={"n": 1})

    cancelled = await gateway.post(f"/api/v1/runs/{run['id']}/cancel", json={"reason": "by mistake"})
    again = await gateway.post(f"/api/v1/runs/{run['id']}/retry")

    assert (cancelled.status, cancelled.json["state"]) == (202, "cancelled")
    assert "by mistake" in cancelled.json["reason"]
    assert "local" in cancelled.json["reason"]
    assert again.status == 202
    assert again.json["retried_from"] == run["id"] != again.json["id"]
    assert again.json["payload"] == {"n": 1}
    assert (await gateway.get(f"/api/v1/runs/{run['id']}")).json["state"] == "cancelled"


async def test_only_a_finished_run_can_be_retried(gateway: Gateway) -> None:
    run = await _run(gateway)

    refused = await gateway.post(f"/api/v1/runs/{run['id']}/retry")

    assert refused.status == 409
    assert refused.json["title"] == "Conflict"


async def test_an_event_has_all_its_fields(gateway: Gateway) -> None:
    hook = (await gateway.post("/hooks/alarms?x=1", json={"uid": "1", "severity": "high"})).json

    event = (await gateway.get(f"/api/v1/events/{hook['event_id']}")).json

    assert event.keys() == EVENT
    assert event["data"] == {"uid": "1", "severity": "high"}
    assert event["decisions"] == hook["decisions"]
    assert event["run_ids"] == [hook["decisions"][0]["run_id"]]


async def test_lists_are_read_page_by_page_while_they_grow(gateway: Gateway) -> None:
    made = [(await _run(gateway))["id"] for _ in range(5)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await gateway.get(f"/api/v1/runs?limit=2{cursor}")).json
        assert page.keys() == {"items", "next"}
        seen += [run["id"] for run in page["items"]]
        await _run(gateway)
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next'].upper()}"

    assert seen == made[::-1]


async def test_runs_are_filtered(gateway: Gateway) -> None:
    run = await _run(gateway, key="k")
    await gateway.post("/api/v1/targets/other/run")
    await gateway.post("/hooks/alarms", json={"severity": "high"})

    async def found(query: str) -> int:
        return len((await gateway.get(f"/api/v1/runs?{query}")).json["items"])

    assert await found("") == 3
    assert await found("target=other") == 1
    assert await found("key=k") == 1
    assert await found("trigger=on-alarm&state=queued") == 1
    assert await found("state=running") == 0
    assert await found("since=1h") == 3
    assert await found("until=1h") == 0
    assert await found(f"until={run['created_at']}") == 0
    assert await found("since=2000-01-01T00:00:00%2B01:00") == 3


async def test_events_are_filtered(gateway: Gateway) -> None:
    await gateway.post("/hooks/alarms", json={"severity": "high"})
    await gateway.post("/hooks/alarms", json={"severity": "low"})
    await _run(gateway)

    async def found(query: str) -> int:
        return len((await gateway.get(f"/api/v1/events?{query}")).json["items"])

    assert await found("source=alarms") == 2
    assert await found("type=gateway.manual") == 1
    assert await found("decision=filtered") == 1
    assert await found("decision=merged") == 0
    assert await found("since=2100-01-01T00:00:00Z") == 0


async def test_targets_are_paused_and_resumed(gateway: Gateway) -> None:
    paused = await gateway.post("/api/v1/targets/sync/pause", json={"for": "1h", "reason": "cut-over"})
    run = await _run(gateway)
    seen = (await gateway.get(f"/api/v1/runs/{run['id']}")).json["waiting_for"]
    resumed = await gateway.post("/api/v1/targets/sync/resume")

    assert paused.status == 200
    assert paused.json["state"] == "paused"
    assert (paused.json["paused"]["by"], paused.json["paused"]["reason"]) == ("local", "cut-over")
    assert "cut-over" in seen
    assert (resumed.status, resumed.json["state"], resumed.json["waiting"]) == (200, "ready", 1)


async def test_targets_are_listed_with_what_they_do(tmp_path: Path) -> None:
    async with TargetServer() as server, _working(tmp_path, server) as gateway:
        await gateway.post("/api/v1/targets/sync/run?wait=10s")
        listed = (await gateway.get("/api/v1/targets")).json
        target = (await gateway.get("/api/v1/targets/sync")).json

    assert listed["next"] is None
    [item] = listed["items"]
    assert item["name"] == "sync"
    assert item.items() <= target.items()
    assert (target["kind"], target["running"], target["waiting"], target["breaker"]) == ("http", 0, 0, None)
    assert [outcome["state"] for outcome in target["last_outcomes"]] == ["succeeded"]


async def test_the_last_outcomes_of_a_target_are_seen_behind_any_backlog(tmp_path: Path) -> None:
    async with TargetServer() as server, _working(tmp_path, server) as gateway:
        ended = [(await gateway.post("/api/v1/targets/sync/run?wait=10s")).json["id"] for _ in range(2)]
        await gateway.post("/api/v1/targets/sync/pause")
        await asyncio.gather(*(_run(gateway) for _ in range(60)))
        target = (await gateway.get("/api/v1/targets/sync")).json

    assert target["waiting"] == 60
    assert [outcome["id"] for outcome in target["last_outcomes"]] == ended[::-1]
    assert target["last_outcomes"][0].keys() == {"id", "state", "finished_at", "reason"}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("runs?since=yesterday", "a time such as 2026-01-31T12:00:00Z, or an age such as 2h, got 'yesterday'"),
        ("stats?since=2026-01-31T12:00:00", "a time such as 2026-01-31T12:00:00Z, or an age such as 2h"),
    ],
)
async def test_who_says_neither_a_time_nor_an_age_is_told_of_both(gateway: Gateway, path: str, message: str) -> None:
    answer = await gateway.get(f"/api/v1/{path}")

    assert answer.status == 422
    assert message in answer.json["errors"][0]["message"]


async def test_limits_of_time_are_written_as_people_write_them(gateway: Gateway) -> None:
    answer = await gateway.post("/api/v1/targets/sync/run?wait=2h")

    assert answer.json["errors"] == [{"path": "wait", "message": "should be at most 1h"}]


async def test_targets_are_read_page_by_page(gateway: Gateway) -> None:
    first = (await gateway.get("/api/v1/targets?limit=1")).json
    second = (await gateway.get(f"/api/v1/targets?limit=1&cursor={first['next']}")).json

    assert [item["name"] for item in first["items"] + second["items"]] == ["other", "sync"]
    assert second["next"] is None


async def test_the_status_names_nodes_and_targets(gateway: Gateway) -> None:
    status = (await gateway.get("/api/v1/status")).json

    assert [node["id"] for node in status["nodes"]] == [status["node"]["id"]]
    assert status["nodes"][0]["config_hash"] == status["node"]["config_hash"] == "0" * 64
    assert status["leader"] is None
    assert status["targets"][0] == {"name": "other", "state": "ready", "waiting": 0, "running": 0}


async def test_a_target_in_its_window_says_so_and_so_do_its_runs(tmp_path: Path) -> None:
    settings = {
        "targets": {name: TARGET | {"hold": name} for name in ("open", "shut")},
        "windows": {"open": {"cron": "* * * * *", "for": "2m"}, "shut": {"cron": "0 0 29 2 *", "for": "1s"}},
    }
    async with running(tmp_path, settings) as gateway:
        held = (await gateway.post("/api/v1/targets/open/run", json={})).json
        free = (await gateway.post("/api/v1/targets/shut/run", json={})).json
        later = (await gateway.post("/api/v1/targets/open/run", json={"due_at": "2100-01-01T00:00:00Z"})).json
        runs = (await gateway.get("/api/v1/runs")).json["items"]
        status = (await gateway.get("/api/v1/status")).json

    assert held["waiting_for"] == "the window open to close"
    assert (free["waiting_for"], later["waiting_for"]) == ("a free slot of the target", "its due time")
    assert [run["waiting_for"] for run in reversed(runs)] == [one["waiting_for"] for one in (held, free, later)]
    assert [target["state"] for target in status["targets"]] == ["held", "ready"]


async def test_any_payload_arrives_literally(gateway: Gateway) -> None:
    payloads: list[Any] = [None, [], [{}], 1, "x", True, {"a": {"b": [1.5, "é", None]}}, {"$ref": "{{ 7*7 }}"}]
    for payload in payloads:
        assert (await _run(gateway, payload=payload))["payload"] == payload


async def test_a_request_that_no_lane_can_be_found_for_is_refused(tmp_path: Path) -> None:
    target = SETTINGS["targets"]["sync"] | {"per_key": {"key": "{{ payload.site }}"}}
    async with running(tmp_path, {"sources": {"alarms": OPEN}, "targets": {"sync": target}}) as gateway:
        refused = await gateway.post("/api/v1/targets/sync/run", json={"payload": {}})

    assert refused.status == 422
    assert "site" in refused.json["detail"]


async def test_a_store_that_cannot_be_read_is_unavailable(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> Any:
        raise ConnectionRefusedError

    monkeypatch.setattr(gateway.edge.database, "read", read)

    answer = await gateway.get("/api/v1/runs")

    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) >= 1


async def test_answers_are_not_kept_by_anybody_on_the_way(gateway: Gateway) -> None:
    headers = (await gateway.get("/api/v1/status")).headers

    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert orjson.loads((await gateway.get("/api/v1/status")).body)
