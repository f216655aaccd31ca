"""What came in and what was made of it: in all, and beside each trigger and source."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from gateway.config.model import Config
from gateway.sources import configured
from tests.web.edges import OPEN, Gateway, running

SETTINGS = {
    "sources": {
        "alarms": {**OPEN, "path": "/hooks/a", "event": {"id": "{{ body.id }}", "type": "sent"}},
        "quiet": {**OPEN, "ignore": "true"},
    },
    "targets": {"sync": {"kind": "command", "argv": ["true"]}},
    "triggers": {
        "every": {"on": "alarms", "target": "sync", "once": {}},
        "never": {"on": {"source": "alarms", "type": "sent"}, "when": "false", "target": "sync", "mode": "shadow"},
    },
}


async def send(gateway: Gateway, name: str) -> str:
    answer = await gateway.post("/hooks/a", json={"id": name})
    event_id: str = answer.json["event_id"]
    return event_id


async def shown(gateway: Gateway, path: str) -> Any:
    answer = await gateway.get(f"/api/v1/{path}")
    assert answer.status == 200, answer
    return answer.json


async def test_s_stats_of_a_day(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        for name in ("a", "b", "c", "c"):
            await send(gateway, name)
        stats = await shown(gateway, "stats")

        assert await shown(gateway, "stats?since=24h") == stats | {"since": ANY, "until": ANY}
        assert (await shown(gateway, "stats?since=2100-01-01T00:00:00Z"))["totals"]["events"] == 0

    some = {name: number for name, number in stats["totals"].items() if number}
    assert some == {"events": 3, "redelivered": 1, "duplicates": 1, "runs": 1, "merged": 2, "filtered": 3}
    assert stats["events_per_run"] == 3
    assert [one["name"] for one in stats["triggers"]] == ["every", "never"]
    assert [one["name"] for one in stats["targets"]] == ["sync"]


async def test_triggers_with_what_they_decided(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        await send(gateway, "a")
        last = await send(gateway, "b")
        await gateway.post("/api/v1/triggers/every/pause", json={"reason": "maintenance"})
        page = await shown(gateway, "triggers")
        first = await shown(gateway, "triggers?limit=1")
        second = await shown(gateway, f"triggers?limit=1&cursor={first['next']}")

    every, never = page["items"]
    assert (every["name"], every["on"], every["target"], every["mode"]) == (
        "every",
        [{"source": "alarms"}],
        "sync",
        "run",
    )
    assert (every["counts"]["runs"], every["counts"]["merged"], never["counts"]["filtered"]) == (1, 1, 2)
    assert every["last_event"]["id"] == never["last_event"]["id"] == last
    assert (every["paused"]["reason"], never["paused"]) == ("maintenance", None)
    assert never["on"] == [{"source": "alarms", "type": "sent"}]
    assert [first["items"], second["items"], second["next"]] == [[every], [never], None]


async def test_sources_with_what_came_in(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        last = await send(gateway, "a")
        await send(gateway, "a")
        await gateway.post("/hooks/quiet", json={})
        await gateway.post("/api/v1/sources/alarms/pause", json={"key": "k"})
        alarms, quiet = (await shown(gateway, "sources"))["items"]

    assert [alarms[name] for name in ("name", "kind", "path", "queue", "state")] == [
        "alarms",
        "webhook",
        "/hooks/a",
        None,
        "ok",
    ]
    assert (alarms["counts"]["events"], alarms["counts"]["redelivered"]) == (1, 1)
    assert alarms["last_event"]["id"] == last
    assert list(alarms["paused_keys"]) == ["k"]
    assert (quiet["ignored"], quiet["last_event"], quiet["path"]) == (1, None, "/hooks/quiet")


async def test_a_queue_says_how_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = {"kind": "amqp", "queue": "q", "url": "amqp://guest:secret@localhost/", "event": {"type": "t"}}
    async with running(tmp_path, SETTINGS) as gateway:
        snapshot = gateway.edge.current.snapshot
        config = Config.model_validate({"sources": {"queue": queue}})
        sources = {"queue": configured("queue", config.sources["queue"])}
        gateway.edge.current.swap(replace(snapshot, sources=sources))
        monkeypatch.setattr(gateway.edge.health, "_states_of_sources", lambda: {"queue": "degraded: no broker"})
        [shown_queue] = (await shown(gateway, "sources"))["items"]

    assert [shown_queue[name] for name in ("kind", "path", "queue", "state")] == [
        "amqp",
        None,
        "q",
        "degraded: no broker",
    ]
    assert "secret" not in str(shown_queue)


@pytest.mark.parametrize("query", ["since=-1h", "since=x", "since=", "limit=0", "since=24h&since=1h", "other=1"])
@pytest.mark.parametrize("path", ["stats", "triggers", "sources"])
async def test_s_odd_questions_are_refused(tmp_path: Path, path: str, query: str) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        assert (await gateway.get(f"/api/v1/{path}?{query}")).status == 422


@pytest.mark.parametrize("since", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "1000000d", "36500d"])
@pytest.mark.parametrize("path", ["stats", "triggers", "sources", "audit", "runs", "events"])
async def test_s_times_far_away_are_times(tmp_path: Path, path: str, since: str) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        assert (await gateway.get(f"/api/v1/{path}?since={since}")).status in (200, 422)
