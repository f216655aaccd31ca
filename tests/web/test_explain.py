"""`POST /api/v1/explain` says what an event would come to, and why, and changes nothing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.core.ids import new_id
from gateway.store.schema import events, keys, runs
from tests.web.edges import ACCESS, OPEN, TOKENS, Gateway, running

CALLED: dict[str, Any] = {
    "kind": "http",
    "url": "http://127.0.0.1:9/sync?run={{ run.id }}&attempt={{ run.attempt }}",
    "headers": {"Authorization": "Bearer secret-of-the-target", "X-Host": "{{ event.data.host }}"},
    "per_key": {"key": "{{ payload.host }}"},
}
SETTINGS: dict[str, Any] = {
    "sources": {"alarms": OPEN | {"event": {"type": "alarm.{{ body.severity }}"}}, "other": OPEN},
    "targets": {"sync": CALLED, "broken": {"kind": "http", "url": "http://127.0.0.1:9/{{ event.data.nope }}"}},
    "triggers": {
        "on-alarm": {
            "on": "alarms",
            "target": "sync",
            "when": "event.data.severity == 'high' and event.data.host.startswith('a')",
            "once": {"key": "{{ event.data.host }}", "until": "10m"},
            "debounce": "30s",
            "payload": {"host": "{{ event.data.host }}"},
        },
        "on-low": {"on": {"source": "alarms", "type": "alarm.low"}, "target": "sync"},
        "on-trial": {"on": "alarms", "target": "broken", "mode": "shadow"},
        "on-other": {"on": "other", "target": "broken"},
    },
}
HIGH = {"severity": "high", "host": "ams"}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path, SETTINGS) as one:
        yield one


async def explained(gateway: Gateway, **asked: Any) -> dict[str, Any]:
    answer = await gateway.post("/api/v1/explain", json=asked)
    assert answer.status == 200, answer.body
    return {one["trigger"]: one for one in answer.json["triggers"]}


async def by_hand(gateway: Gateway, data: Any, source: str = "alarms") -> dict[str, Any]:
    return await explained(gateway, event={"source": source, "type": "alarm.high", "data": data})


async def test_each_trigger_that_listens_says_what_it_would_decide(gateway: Gateway) -> None:
    told = await by_hand(gateway, HIGH)

    assert {name: one["decision"] for name, one in told.items()} == {
        "on-alarm": "enqueued",
        "on-low": "filtered",
        "on-trial": "shadow",
    }
    assert told["on-low"]["reason"] == "on: does not match type alarm.high"
    assert told["on-low"]["request"] is None


async def test_the_operands_say_why(gateway: Gateway) -> None:
    told = await by_hand(gateway, {"severity": "low", "host": "ams"})

    assert told["on-alarm"]["operands"] == [
        {"expression": "event.data.severity == 'high'", "value": False, "error": None},
        {"expression": "event.data.severity", "value": "low", "error": None},
    ]


async def test_the_request_is_shown_as_it_would_be_made(gateway: Gateway) -> None:
    asked = (await by_hand(gateway, HIGH))["on-alarm"]["request"]

    assert asked["call"] == {
        "method": "POST",
        "url": "http://127.0.0.1:9/sync?run=run.id&attempt=1",
        "headers": {"Authorization": "***", "X-Host": "ams", "Content-Type": "application/json"},
        "body": {"host": "ams"},
    }
    assert (asked["key"], asked["until"], asked["lane"], asked["payload"]) == ("ams", "10m", "ams", {"host": "ams"})
    assert (asked["held_by"], asked["run_id"]) == (None, None)
    assert asked["due_at"].endswith("Z")


async def test_no_secret_of_a_target_is_shown(gateway: Gateway) -> None:
    answer = await gateway.post("/api/v1/explain", json={"event": {"source": "alarms", "type": "t", "data": HIGH}})

    assert b"secret-of-the-target" not in answer.body


async def test_a_held_key_is_shown_with_the_run_that_holds_it(gateway: Gateway) -> None:
    accepted = (await gateway.post("/hooks/alarms", json=HIGH)).json
    [run_id] = {one["run_id"] for one in accepted["decisions"] if one["run_id"]}

    told = (await explained(gateway, event_id=accepted["event_id"]))["on-alarm"]

    assert told["decision"] == "merged"
    assert told["request"]["run_id"] == run_id
    assert told["request"]["held_by"] == {"run_id": run_id, "state": "queued"}
    assert f"run={run_id}" in told["request"]["call"]["url"]


async def test_a_call_that_cannot_be_rendered_says_why(gateway: Gateway) -> None:
    asked = (await by_hand(gateway, HIGH))["on-trial"]["request"]

    assert asked["call"] is None
    assert "event.data.nope is undefined" in asked["call_error"]


async def test_a_failing_condition_says_what_is_missing(gateway: Gateway) -> None:
    told = (await by_hand(gateway, {"severity": "high"}))["on-alarm"]

    assert told["decision"] == "error"
    assert all("event.data.host is undefined" in one["error"] for one in told["operands"])


async def test_what_nobody_listens_to_comes_to_nothing(gateway: Gateway) -> None:
    assert await by_hand(gateway, HIGH, source="api") == {}


async def test_nothing_is_changed(gateway: Gateway) -> None:
    accepted = (await gateway.post("/hooks/alarms", json=HIGH)).json
    before = await _rows(gateway)

    await explained(gateway, event_id=accepted["event_id"])
    await by_hand(gateway, HIGH)

    assert await _rows(gateway) == before


async def _rows(gateway: Gateway) -> list[Any]:
    async with gateway.edge.database.read() as connection:
        return [(await connection.execute(table.select())).all() for table in (events, keys, runs)]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({}, 422),
        ({"event_id": None}, 422),
        ({"event_id": new_id(), "event": {"source": "alarms", "type": "t", "data": 1}}, 422),
        ({"event_id": 5}, 422),
        ({"event_id": "x" * 501}, 422),
        ({"event_id": new_id()}, 404),
        ({"event_id": "no-id"}, 404),
        ({"event_id": "' or 1=1 --"}, 404),
        ({"event": {"source": "ghost", "type": "t", "data": 1}}, 404),
        ({"event": {"source": "alarms", "data": 1}}, 422),
        ({"event": {"source": "alarms", "type": "t", "data": 1, "more": 1}}, 422),
        ({"event": []}, 422),
        ([], 422),
    ],
)
async def test_a_wrong_question_is_told_so(gateway: Gateway, asked: Any, status: int) -> None:
    answer = await gateway.post("/api/v1/explain", json=asked)

    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "data", [None, [], 5, "text", {"severity": {"a": []}}, {"severity": "high", "host": "a" * 10**5}]
)
async def test_any_data_is_explained(gateway: Gateway, data: Any) -> None:
    assert set(await by_hand(gateway, data)) == {"on-alarm", "on-low", "on-trial"}


async def test_a_viewer_may_ask_and_a_stranger_may_not(tmp_path: Path) -> None:
    async with running(tmp_path, {**SETTINGS, "access": ACCESS}) as gateway:
        asked = {"event": {"source": "alarms", "type": "t", "data": HIGH}}
        by_viewer = await gateway.post("/api/v1/explain", json=asked, token=TOKENS["viewer"])
        by_stranger = await gateway.post("/api/v1/explain", json=asked, token="not-a-token-at-all")

    assert (by_viewer.status, by_stranger.status) == (200, 401)
