"""Who did what by hand, when, why, and what came of it."""

from pathlib import Path
from typing import Any

import pytest

from gateway.web.routes import API
from tests.web.edges import ACCESS, OPEN, TOKENS, Gateway, running

SETTINGS = {
    "access": ACCESS,
    "sources": {"alarms": {**OPEN, "event": {"type": "sent"}}},
    "targets": {"sync": {"kind": "command", "argv": ["true"]}},
    "triggers": {"every": {"on": "alarms", "target": "sync", "payload": {}}},
}
SCHEDULE = {"interval": "1h", "target": "sync"}
ACTS: dict[tuple[str, str], Any] = {
    ("POST", "/api/v1/events"): {"source": "alarms", "type": "sent", "data": {"secret": "x"}},
    ("POST", "/api/v1/events/{event}/replay"): {},
    ("POST", "/api/v1/runs/{queued}/cancel"): {},
    ("POST", "/api/v1/runs/{cancelled}/retry"): {},
    ("POST", "/api/v1/runs/cancel"): {"target": "sync"},
    ("POST", "/api/v1/runs/retry"): {"state": "cancelled"},
    ("POST", "/api/v1/targets/sync/run"): {"payload": {"secret": "x"}, "key": "k"},
    ("POST", "/api/v1/targets/sync/pause"): {"for": "2h"},
    ("POST", "/api/v1/targets/sync/resume"): {},
    ("POST", "/api/v1/triggers/every/pause"): {},
    ("POST", "/api/v1/triggers/every/resume"): {},
    ("POST", "/api/v1/sources/alarms/pause"): {},
    ("POST", "/api/v1/sources/alarms/resume"): {},
    ("POST", "/api/v1/pause"): {},
    ("POST", "/api/v1/resume"): {},
    ("POST", "/api/v1/reload"): {},
    ("POST", "/api/v1/schedules"): {"name": "nightly", **SCHEDULE},
    ("PUT", "/api/v1/schedules/hourly"): SCHEDULE,
    ("POST", "/api/v1/schedules/hourly/run"): {},
    ("POST", "/api/v1/schedules/hourly/pause"): {},
    ("POST", "/api/v1/schedules/hourly/resume"): {},
    ("DELETE", "/api/v1/schedules/hourly"): None,
}
ADMIN = TOKENS["admin"]


async def trail(gateway: Gateway, **query: str) -> list[dict[str, Any]]:
    answer = await gateway.get("/api/v1/audit", token=TOKENS["viewer"], params=query)
    assert answer.status == 200, answer
    items: list[dict[str, Any]] = answer.json["items"]
    return items


async def act(gateway: Gateway, method: str, path: str, body: Any, **headers: str) -> Any:
    answer = await gateway.ask(method, path, token=ADMIN, json=body, headers=headers)
    assert answer.status in (200, 201, 202, 204), answer
    return answer.json if answer.body else None


async def prepare(gateway: Gateway) -> dict[str, str]:
    """Things that something can be done to."""
    await act(gateway, "POST", "/api/v1/schedules", {"name": "hourly", **SCHEDULE})
    sent = await gateway.post("/hooks/alarms", json={})
    queued = await act(gateway, "POST", "/api/v1/targets/sync/run", {})
    cancelled = await act(gateway, "POST", "/api/v1/targets/sync/run", {})
    await act(gateway, "POST", f"/api/v1/runs/{cancelled['id']}/cancel", {})
    return {"event": sent.json["event_id"], "queued": queued["id"], "cancelled": cancelled["id"]}


def words(path: str) -> set[str]:
    return {step for step in path.split("/") if not step.startswith("{")}


def test_all_that_changes_anything_is_among_the_acts() -> None:
    listed = {(method, frozenset(words(path) - {"sync", "every", "alarms", "hourly"})) for method, path in ACTS}

    assert listed == {(route.method, frozenset(words(route.path))) for route in API if route.acts}
    assert {route.path for route in API if route.method != "GET" and not route.acts} == {"/api/v1/explain"}


@pytest.mark.parametrize(("method", "path"), ACTS, ids=lambda value: value.replace("/api/v1/", ""))
async def test_whatever_is_done_leaves_one_row(tmp_path: Path, method: str, path: str) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        ids = await prepare(gateway)
        before = len(await trail(gateway))
        await act(gateway, method, path.format(**ids), ACTS[method, path], **{"X-Reason": "because"})
        newest, *others = await trail(gateway)

    assert len(others) == before
    assert (newest["actor"], newest["address"], newest["reason"]) == ("the-admin", "127.0.0.1", "because")
    assert newest["action"] in {*path.split("/"), "create", "replace", "remove"}
    assert "secret" not in str(newest["asked"])


async def test_what_was_done_to_what_and_what_came_of_it(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        run = await act(gateway, "POST", "/api/v1/targets/sync/run", {"key": "k", "reason": "new devices"})
        await act(gateway, "POST", f"/api/v1/runs/{run['id']}/cancel", {"reason": "a mistake"})
        await act(gateway, "POST", "/api/v1/targets/sync/pause", {"for": "2h"})
        await act(gateway, "POST", "/api/v1/schedules", {"name": "nightly", **SCHEDULE})
        created, paused, cancelled, ran = await trail(gateway)

    assert [ran[name] for name in ("action", "kind", "name", "reason")] == ["run", "target", "sync", "new devices"]
    assert ran["outcome"].endswith(f"enqueued run {run['id']}")
    assert ran["asked"] == {"key": "k"}
    assert [cancelled[name] for name in ("action", "kind", "name")] == ["cancel", "run", run["id"]]
    assert (cancelled["reason"], cancelled["outcome"], cancelled["count"]) == ("a mistake", "cancelled", 1)
    assert paused["asked"] == {"for": "2h"}
    assert [created[name] for name in ("action", "kind", "name", "asked")] == [
        "create",
        "schedule",
        "nightly",
        SCHEDULE,
    ]


async def test_what_was_refused_was_not_done(tmp_path: Path) -> None:
    unknown = "01980000-0000-7000-8000-000000000000"
    async with running(tmp_path, SETTINGS) as gateway:
        ids = await prepare(gateway)
        before = await trail(gateway)
        refusals = [
            await gateway.post("/api/v1/targets/sync/run", token=TOKENS["viewer"]),
            await gateway.post("/api/v1/targets/nowhere/run", token=ADMIN),
            await gateway.post(f"/api/v1/runs/{unknown}/cancel", token=ADMIN),
            await gateway.post(f"/api/v1/runs/{ids['queued']}/retry", token=ADMIN),
            await gateway.post("/api/v1/targets/sync/pause", token=ADMIN, json={"for": "-1s"}),
            await gateway.post("/api/v1/pause", token=ADMIN, headers={"X-Reason": "x" * 1001}),
            await gateway.post("/api/v1/schedules", token=ADMIN, json={"name": "hourly", **SCHEDULE}),
        ]
        looked = await gateway.post("/api/v1/explain", token=ADMIN, json={"event_id": ids["event"]})

        assert [refusal.status for refusal in refusals] == [403, 404, 404, 409, 422, 422, 409]
        assert looked.status == 200
        assert await trail(gateway) == before


async def test_filters_and_pages(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        for path in ("pause", "resume", "pause"):
            await gateway.post(f"/api/v1/{path}", token=TOKENS["operator"])
        await act(gateway, "POST", "/api/v1/reload", {})
        first = await gateway.get("/api/v1/audit?limit=3", token=ADMIN)
        second = await gateway.get(f"/api/v1/audit?cursor={first.json['next']}", token=ADMIN)

        assert [one["action"] for one in first.json["items"]] == ["reload", "pause", "resume"]
        assert [one["action"] for one in second.json["items"]] == ["pause"]
        assert second.json["next"] is None
        assert len(await trail(gateway, action="pause")) == 2
        assert len(await trail(gateway, actor="the-operator")) == 3
        assert await trail(gateway, until="1h") == []
        assert len(await trail(gateway, since="1h")) == 4


async def test_s_reasons_are_kept_as_they_are_as_far_as_databases_can(tmp_path: Path) -> None:
    reason = "<script>alert(1)</script> ' OR 1=1; -- \N{SNOWMAN}"
    async with running(tmp_path, SETTINGS) as gateway:
        await act(gateway, "POST", "/api/v1/pause", {"reason": reason})
        answer = await gateway.post("/api/v1/resume", token=ADMIN, json={"reason": 1})
        [paused] = await trail(gateway)

    assert answer.status == 422
    assert paused["reason"] == reason


async def test_much_that_was_asked_for_is_left_out(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        body = {"name": "big", **SCHEDULE, "description": "x"} | {"payload": {"x": "y" * 100_000}}
        body.pop("description")
        await act(gateway, "POST", "/api/v1/schedules", body)
        [created] = await trail(gateway)

    assert created["asked"] == SCHEDULE
