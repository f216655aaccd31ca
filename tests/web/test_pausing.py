"""Pausing and resuming through the API."""

from dataclasses import replace
from typing import Any

import pytest

from tests.web.edges import Gateway

UNKNOWN = [
    "targets/on-alarm",
    "triggers/sync",
    "sources/api",
    "sources/gateway",
    "triggers/%00",
    f"sources/{'x' * 200}",
]
PAUSABLE = ["targets/sync", "triggers/on-alarm", "sources/alarms"]


async def pauses(gateway: Gateway) -> list[tuple[str, str, str]]:
    listed = (await gateway.get("/api/v1/status")).json["pauses"]
    return [(one["kind"], one["name"], one["key"]) for one in listed]


@pytest.mark.parametrize("path", PAUSABLE)
async def test_what_is_configured_can_be_paused_and_resumed(gateway: Gateway, path: str) -> None:
    kind, name = path.split("/")
    paused = await gateway.post(f"/api/v1/{path}/pause", json={"for": "1h", "reason": "cut-over"})
    assert paused.status == 200
    assert (paused.json["paused"]["by"], paused.json["paused"]["reason"]) == ("local", "cut-over")
    assert paused.json["paused"]["until"] is not None
    assert await pauses(gateway) == [(kind[:-1], name, "")]
    resumed = await gateway.post(f"/api/v1/{path}/resume")

    assert (resumed.status, resumed.json["paused"]) == (200, None)
    assert await pauses(gateway) == []


@pytest.mark.parametrize("path", PAUSABLE)
async def test_a_key_is_paused_beside_the_whole(gateway: Gateway, path: str) -> None:
    await gateway.post(f"/api/v1/{path}/pause", json={"key": "a b"})
    both = (await gateway.post(f"/api/v1/{path}/pause")).json
    assert (both["paused"]["by"], list(both["paused_keys"])) == ("local", ["a b"])
    whole = (await gateway.post(f"/api/v1/{path}/resume")).json

    assert (whole["paused"], list(whole["paused_keys"])) == (None, ["a b"])
    assert (await gateway.post(f"/api/v1/{path}/resume", json={"key": "a b"})).json["paused_keys"] == {}


async def test_everything_is_paused_and_resumed(gateway: Gateway) -> None:
    paused = await gateway.post("/api/v1/pause", json={"reason": "fire"})
    run = (await gateway.post("/api/v1/targets/other/run")).json
    assert run["waiting_for"] == "everything to be resumed, paused by local: fire"
    assert [target["state"] for target in (await gateway.get("/api/v1/targets")).json["items"]] == ["paused", "paused"]
    resumed = await gateway.post("/api/v1/resume")

    assert [one["kind"] for one in paused.json["pauses"]] == ["everything"]
    assert resumed.json == {"pauses": []}


async def test_who_pauses_anew_says_anew_for_how_long(gateway: Gateway) -> None:
    await gateway.post("/api/v1/triggers/on-alarm/pause", json={"for": "1h", "reason": "a"})
    again = (await gateway.post("/api/v1/triggers/on-alarm/pause", json={"reason": "b"})).json

    assert again["paused"] == {"by": "local", "reason": "b", "until": None}


async def test_resuming_what_is_not_paused_changes_nothing(gateway: Gateway) -> None:
    for path in [*PAUSABLE, ""]:
        assert (await gateway.post(f"/api/v1/{path}/resume".replace("//", "/"))).status == 200


@pytest.mark.parametrize("verb", ["pause", "resume"])
@pytest.mark.parametrize(
    "path",
    ["targets/on-alarm", "triggers/sync", "sources/api", "sources/gateway", "triggers/%00", "triggers/" + "x" * 200],
)
async def test_what_there_is_not_is_looked_for_before_the_body(gateway: Gateway, path: str, verb: str) -> None:
    answer = await gateway.post(f"/api/v1/{path}/{verb}", json={"for": "never"})

    assert answer.status == 404
    assert await pauses(gateway) == []


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("triggers/on-alarm/pause", {"for": "0s"}, "for"),
        ("triggers/on-alarm/pause", {"for": "-1h"}, "for"),
        ("triggers/on-alarm/pause", {"for": 5}, "for"),
        ("triggers/on-alarm/pause", {"key": ""}, "key"),
        ("triggers/on-alarm/pause", {"key": " "}, "key"),
        ("triggers/on-alarm/pause", {"key": "x" * 501}, "key"),
        ("triggers/on-alarm/pause", {"key": ["a"]}, "key"),
        ("triggers/on-alarm/pause", {"reason": "x" * 1001}, "reason"),
        ("triggers/on-alarm/pause", {"lasting": "1h"}, "lasting"),
        ("triggers/on-alarm/resume", {"for": "1h"}, "for"),
        ("pause", {"key": "k"}, "key"),
        ("resume", {"key": "k"}, "key"),
    ],
)
async def test_s03_what_cannot_be_meant_is_refused_and_pauses_nothing(
    gateway: Gateway, path: str, body: Any, field: str
) -> None:
    answer = await gateway.post(f"/api/v1/{path}", json=body)

    assert answer.status == 422
    assert [error["path"] for error in answer.json["errors"]] == [field]
    assert await pauses(gateway) == []


async def test_a_pause_outlives_the_configuration_of_what_it_stops(gateway: Gateway) -> None:
    snapshot = gateway.edge.current.snapshot
    await gateway.post("/api/v1/triggers/on-alarm/pause")
    gateway.edge.current.swap(replace(snapshot, triggers={}))

    assert await pauses(gateway) == [("trigger", "on-alarm", "")]
    assert (await gateway.post("/api/v1/triggers/on-alarm/resume")).json["paused"] is None
    assert (await gateway.post("/api/v1/triggers/on-alarm/resume")).status == 404
