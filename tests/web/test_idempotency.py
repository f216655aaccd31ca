"""Requests by hand that are repeated with their Idempotency-Key make nothing twice."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import SETTINGS
from tests.web.edges import Answer, Gateway, running

SYNC = "/api/v1/targets/sync/run"
OTHER = "/api/v1/targets/other/run"
NIGHTLY = "/api/v1/schedules/nightly/run"
EVENTS = "/api/v1/events"
GIVEN = {"source": "alarms", "type": "alarm", "data": {"severity": "high"}}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    heard = {"heard": {"on": "api", "target": "other"}}
    async with running(tmp_path, SETTINGS | {"triggers": SETTINGS["triggers"] | heard}) as one:
        created = await one.post("/api/v1/schedules", json={"name": "nightly", "cron": "0 1 * * *", "target": "sync"})
        assert created.status == 201
        yield one


async def ask(gateway: Gateway, path: str, key: str, /, **body: Any) -> Answer:
    return await gateway.post(path, json=body, headers={"Idempotency-Key": key})


async def stored(gateway: Gateway, things: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await gateway.get(f"/api/v1/{things}")).json["items"]
    return items


@pytest.mark.parametrize("path", [SYNC, NIGHTLY])
async def test_a_repeated_request_is_answered_with_the_first_run(gateway: Gateway, path: str) -> None:
    first, again = await ask(gateway, path, "a"), await ask(gateway, path, "a")
    made = await stored(gateway, "runs")
    other = await ask(gateway, path, "b")

    assert (first.status, again.status) == (202, 202)
    assert again.json == first.json
    assert [run["target"] for run in made] == ["other", "sync"]
    assert other.json["id"] != first.json["id"]
    assert [event["deliveries"] for event in await stored(gateway, "events")] == [1, 2]


async def test_a_repetition_is_looked_at_no_further(gateway: Gateway) -> None:
    """Not merged, although the first one waits with the same key of the table."""
    first, again = [await ask(gateway, SYNC, "a", key="k", payload={"n": 1}) for _ in range(2)]

    assert again.json["id"] == first.json["id"]
    assert again.json["events"] == 1


@pytest.mark.parametrize("other", [{"payload": {"n": 2}}, {"key": "l"}, {"due_at": "2100-01-01T00:00:00Z"}], ids=repr)
async def test_another_request_under_the_key_of_the_first_is_refused(gateway: Gateway, other: dict[str, Any]) -> None:
    """Whoever asks would take it for done."""
    asked: dict[str, Any] = {"payload": {"n": 1.0}, "key": "k", "due_at": "2099-01-01T00:00:00+01:00"}
    first, again = [await ask(gateway, SYNC, "a", **asked) for _ in range(2)]
    refused = await ask(gateway, SYNC, "a", **asked | other)

    assert again.json["id"] == first.json["id"]
    assert (refused.status, [error["path"] for error in refused.json["errors"]]) == (422, ["Idempotency-Key"])
    assert len(await stored(gateway, "runs?target=sync")) == 1


@pytest.mark.parametrize(
    "other", [{"type": "b"}, {"data": {}}, {"changed": ["a"]}, {"object": 1}, {"subject": "s"}], ids=repr
)
async def test_another_event_under_the_key_of_the_first_is_refused(gateway: Gateway, other: dict[str, Any]) -> None:
    given = GIVEN | {"object": {"a": 1}, "changed": ["b"]}
    first, again = [await ask(gateway, EVENTS, "a", **given) for _ in range(2)]
    refused = await ask(gateway, EVENTS, "a", **given | other)

    assert again.json["event_id"] == first.json["event_id"]
    assert refused.status == 422
    assert len(await stored(gateway, "events")) == 1


async def test_the_repetition_of_a_merged_request_is_answered_with_the_run_it_went_into(gateway: Gateway) -> None:
    first = await ask(gateway, SYNC, "a", key="k")
    merged, again = [await ask(gateway, SYNC, "b", key="k") for _ in range(2)]

    assert first.json["id"] == merged.json["id"] == again.json["id"]
    assert (merged.json["events"], again.json["events"]) == (2, 2)


async def test_the_run_is_shown_as_it_is_by_now(gateway: Gateway) -> None:
    run = (await ask(gateway, SYNC, "a")).json
    await gateway.post(f"/api/v1/runs/{run['id']}/cancel")

    again = await ask(gateway, SYNC, "a")

    assert (again.status, again.json["id"], again.json["state"]) == (200, run["id"], "cancelled")


async def test_twenty_at_once_make_one_run(gateway: Gateway) -> None:
    answers = await asyncio.gather(*(ask(gateway, SYNC, "a") for _ in range(20)))

    assert len({answer.json["id"] for answer in answers}) == 1
    assert len(await stored(gateway, "runs?target=sync")) == 1


async def test_the_same_key_on_another_path_is_another(gateway: Gateway) -> None:
    runs = [await ask(gateway, path, "a") for path in (SYNC, OTHER, NIGHTLY)]
    event = await ask(gateway, EVENTS, "a", **GIVEN)

    assert len({run.json["id"] for run in runs}) == 3
    assert event.json["duplicate"] is False


async def test_the_same_path_written_otherwise_is_the_same(gateway: Gateway) -> None:
    first = await ask(gateway, SYNC, "a")

    assert (await ask(gateway, "/api/v1/targets/%73ync/run?wait=0s", "a")).json["id"] == first.json["id"]


async def test_a_repeated_event_is_a_duplicate_like_that_of_a_hook(gateway: Gateway) -> None:
    first, again = await ask(gateway, EVENTS, "a", **GIVEN), await ask(gateway, EVENTS, "a", **GIVEN)

    assert [decision["decision"] for decision in first.json["decisions"]] == ["enqueued"]
    assert again.status == 202
    assert again.json == {"event_id": first.json["event_id"], "duplicate": True, "decisions": []}
    assert len(await stored(gateway, "runs")) == 1


async def test_an_event_is_known_by_its_id_or_by_the_key_of_its_request(gateway: Gateway) -> None:
    refused = await ask(gateway, EVENTS, "a", **GIVEN, id="1")
    without_dedup = await ask(gateway, EVENTS, "a", **GIVEN | {"source": "api"}, id="1")

    assert (refused.status, refused.json["errors"][0]["path"]) == (422, "id")
    assert without_dedup.status == 202


@pytest.mark.parametrize("data", [None, [], "x", {"payload": {}}], ids=repr)
async def test_an_event_may_say_that_it_was_asked_for_by_hand(gateway: Gateway, data: Any) -> None:
    given = {"source": "api", "type": "gateway.manual", "data": data}
    answers = [await ask(gateway, EVENTS, "a", **given) for _ in range(2)]

    assert [(answer.status, answer.json["duplicate"]) for answer in answers] == [(202, False), (202, True)]


async def test_what_was_refused_holds_no_key(gateway: Gateway) -> None:
    refused = await ask(gateway, SYNC, "a", nonsense=1)

    assert refused.status == 422
    assert (await ask(gateway, SYNC, "a")).status == 202


@pytest.mark.parametrize("path", [SYNC, NIGHTLY, EVENTS])
@pytest.mark.parametrize("key", ["", " ", "x" * 201, "a\tb", "\u00e9"], ids=repr)
async def test_hostile_keys_are_named(gateway: Gateway, path: str, key: str) -> None:
    answer = await ask(gateway, path, key, **(GIVEN if path == EVENTS else {}))

    assert answer.status == 422
    assert [error["path"] for error in answer.json["errors"]] == ["Idempotency-Key"]
    assert await stored(gateway, "events") == []


@pytest.mark.parametrize(
    "lines",
    [b"Idempotency-Key: a\r\nIdempotency-Key: b\r\n", b"Idempotency-Key: \xff\r\n", b"idempotency-key:\r\n"],
    ids=repr,
)
async def test_keys_that_no_client_sends_are_named(gateway: Gateway, lines: bytes) -> None:
    head = f"POST {SYNC} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n"

    answer = await gateway.raw(head.encode() + lines + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 422 ")
    assert b'"path":"Idempotency-Key"' in answer


async def test_a_long_key_is_told_from_one_that_ends_otherwise(gateway: Gateway) -> None:
    one, other = await ask(gateway, SYNC, "x" * 199 + "a"), await ask(gateway, SYNC, "x" * 199 + "b")

    assert one.json["id"] != other.json["id"]
    assert (await ask(gateway, SYNC, "x" * 199 + "a")).json["id"] == one.json["id"]
