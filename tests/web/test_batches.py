"""Requests that bring several events, or ask something first."""

import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from tests.web.edges import OPEN, Answer, Gateway, running

EVENT = {"specversion": "1.0", "id": "a", "source": "/lab", "type": "x"}
CLOUDEVENTS = OPEN | {"body": "cloudevents", "event": {"id": "{{ body.source }} {{ body.id }}", "type": "ce"}}
SPLIT = OPEN | {"split": "{{ body }}", "event": {"id": "{{ item.id }}"}, "ignore": "item.id == 'heartbeat'"}
TRIGGERS = {"t": {"on": {"source": "hook"}, "target": "lab", "once": {"key": "all"}}}
TARGETS = {"lab": {"kind": "http", "url": "http://127.0.0.1:9/"}}


def serving(folder: Path, source: dict[str, Any]) -> Any:
    return running(folder, {"sources": {"hook": source}, "triggers": TRIGGERS, "targets": TARGETS})


async def stored(gateway: Gateway) -> list[str]:
    return [event["sender_id"] for event in (await gateway.get("/api/v1/events")).json["items"]]


async def post_batch(gateway: Gateway, *events: Any) -> Answer:
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    return await gateway.post("/hooks/hook", data=json.dumps(events), headers=headers)


async def test_a_batch_is_answered_item_by_item(tmp_path: Path) -> None:
    async with serving(tmp_path, CLOUDEVENTS) as gateway:
        answer = await post_batch(gateway, EVENT, EVENT | {"id": "b"}, EVENT)
        first, second, again = answer.json["items"]

        assert answer.status == 202
        assert [item["decisions"][0]["decision"] for item in (first, second)] == ["enqueued", "merged"]
        assert again == {"event_id": first["event_id"], "duplicate": True, "decisions": []}
        assert sorted(await stored(gateway)) == ["/lab a", "/lab b"]


async def test_one_event_is_answered_as_ever(tmp_path: Path) -> None:
    headers = {"Content-Type": "application/cloudevents+json"}
    async with serving(tmp_path, CLOUDEVENTS) as gateway:
        answer = await gateway.post("/hooks/hook", data=json.dumps(EVENT), headers=headers)

    assert set(answer.json) == {"event_id", "duplicate", "decisions"}


async def test_a_batch_with_a_broken_event_is_refused_as_a_whole(tmp_path: Path) -> None:
    async with serving(tmp_path, CLOUDEVENTS) as gateway:
        answer = await post_batch(gateway, EVENT, {"id": "b"})

        assert answer.status == 400
        assert answer.json["detail"].startswith("item 1: ")
        assert await stored(gateway) == []


async def test_split_says_which_item_cannot_be_mapped(tmp_path: Path) -> None:
    async with serving(tmp_path, SPLIT) as gateway:
        answer = await gateway.post("/hooks/hook", json=[{"id": "a"}, {"id": []}])

        assert answer.status == 422
        assert [error["path"] for error in answer.json["errors"]] == ["items[1]"]
        assert await stored(gateway) == []


async def test_ignored_items_keep_their_place(tmp_path: Path) -> None:
    async with serving(tmp_path, SPLIT) as gateway:
        answer = await gateway.post("/hooks/hook", json=[{"id": "heartbeat"}, {"id": "a"}, {"id": "heartbeat"}])

        assert [item["event_id"] is None for item in answer.json["items"]] == [True, False, True]
        assert await stored(gateway) == ["a"]


@pytest.mark.parametrize("body", [[], [{"id": "heartbeat"}]])
async def test_nothing_to_store_is_accepted(tmp_path: Path, body: list[Any]) -> None:
    async with serving(tmp_path, SPLIT) as gateway:
        answer = await gateway.post("/hooks/hook", json=body)

        assert answer.status == 202
        assert answer.json == {"items": [{"event_id": None, "duplicate": False, "decisions": []}] * len(body)}
        assert await stored(gateway) == []


async def test_minimal_replies_hide_the_decisions_of_each_item(tmp_path: Path) -> None:
    async with serving(tmp_path, SPLIT | {"reply": "minimal"}) as gateway:
        answer = await gateway.post("/hooks/hook", json=[{"id": "a"}, {"id": "heartbeat"}])

    assert [set(item) for item in answer.json["items"]] == [{"event_id", "duplicate"}] * 2


async def test_a_challenge_is_answered_as_plain_text_and_stores_nothing(tmp_path: Path) -> None:
    challenge = {"when": "query.t is defined", "reply": "{{ query.t }}"}
    verify = {"scheme": "token", "name": "X-Token", "secret": "s3cr3t"}
    async with serving(tmp_path, OPEN | {"verify": verify, "challenge": challenge}) as gateway:
        answer = await gateway.post("/hooks/hook?t=%3Cscript%3E%C3%BC%ff")

        assert (answer.status, answer.body) == (200, "<script>ü\ufffd".encode())
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert (await gateway.post("/hooks/hook", json={})).status == 401
        assert await stored(gateway) == []


async def test_senders_of_cloudevents_may_ask_whether_they_may_send(tmp_path: Path) -> None:
    asking = {"WebHook-Request-Origin": "events.example.com", "WebHook-Request-Rate": "1000"}
    async with serving(tmp_path, CLOUDEVENTS | {"rate": "5/s"}) as gateway:
        allowed = await gateway.ask("OPTIONS", "/hooks/hook", headers=asking)
        unasked = await gateway.ask("OPTIONS", "/hooks/hook")

    assert (allowed.status, unasked.status) == (200, 400)
    assert allowed.headers["WebHook-Allowed-Origin"] == "events.example.com"
    assert allowed.headers["WebHook-Allowed-Rate"] == "300"


async def test_s01_a_replayed_request_is_a_duplicate(tmp_path: Path) -> None:
    verify = {"scheme": "hmac", "header": "X-Signature", "secret": "shhh"}
    async with serving(tmp_path, OPEN | {"verify": verify}) as gateway:
        signature = {"X-Signature": hmac.new(b"shhh", b"{}", "sha256").hexdigest()}
        first, again = [(await gateway.post("/hooks/hook", data=b"{}", headers=signature)).json for _ in range(2)]

    assert (first["duplicate"], again["duplicate"]) == (False, True)
    assert again["event_id"] == first["event_id"]
