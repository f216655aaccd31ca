"""Events that people make: by hand, or those that happened before, once more."""

from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import orjson
import pytest

from gateway.core.ids import new_id
from gateway.core.trigger import Trigger
from gateway.web.api.given import GivenEvent
from tests.web.edges import Gateway

HIGH = {"uid": "1", "severity": "high"}


async def _send(gateway: Gateway, body: dict[str, Any]) -> str:
    answer = await gateway.post("/hooks/alarms", json=body)
    assert answer.status == 202
    return str(answer.json["event_id"])


async def _event(gateway: Gateway, event_id: str) -> dict[str, Any]:
    event: dict[str, Any] = (await gateway.get(f"/api/v1/events/{event_id}")).json
    return event


def _configure(gateway: Gateway, **triggers: dict[str, Any]) -> None:
    """As a reload would."""
    parsed = {name: Trigger.model_validate(trigger) for name, trigger in triggers.items()}
    current = gateway.edge.current
    current.swap(replace(current.snapshot, triggers=parsed))


async def test_a_replay_is_a_new_event_that_names_the_old(gateway: Gateway) -> None:
    old_id = await _send(gateway, HIGH)
    answer = await gateway.post(f"/api/v1/events/{old_id.upper()}/replay")
    old, new = await _event(gateway, old_id), await _event(gateway, answer.json["event_id"])

    assert answer.status == 202
    assert answer.json == {"event_id": new["id"], "duplicate": False, "decisions": new["decisions"]}
    assert new["id"] != old_id == new["replay_of"]
    assert old["replay_of"] is None
    assert (old["deliveries"], new["deliveries"]) == (1, 1)
    same = ("source", "type", "subject", "sender_id", "time", "data", "object", "changed", "headers")
    assert [new[name] for name in same] == [old[name] for name in same]
    assert new["received_at"] > old["received_at"]


async def test_a_replay_holds_no_delivery_and_the_old_event_keeps_its_own(gateway: Gateway) -> None:
    old_id = await _send(gateway, HIGH)
    replays = {(await gateway.post(f"/api/v1/events/{old_id}/replay")).json["event_id"] for _ in range(2)}

    assert len(replays | {old_id}) == 3
    assert await _send(gateway, HIGH) == old_id


async def test_a_replay_of_a_replay_names_the_replay(gateway: Gateway) -> None:
    first = (await gateway.post(f"/api/v1/events/{await _send(gateway, HIGH)}/replay")).json["event_id"]
    second = (await gateway.post(f"/api/v1/events/{first}/replay", json={})).json["event_id"]

    assert (await _event(gateway, second))["replay_of"] == first


async def test_a_replay_goes_through_the_triggers_of_today(gateway: Gateway) -> None:
    old_id = await _send(gateway, HIGH)
    _configure(gateway, of_today={"on": "alarms", "target": "other", "payload": {"uid": "{{ event.data.uid }}"}})
    [decision] = (await gateway.post(f"/api/v1/events/{old_id}/replay")).json["decisions"]

    run = (await gateway.get(f"/api/v1/runs/{decision['run_id']}")).json
    assert (decision["trigger"], run["target"], run["payload"]) == ("of_today", "other", {"uid": "1"})


async def test_a_replay_meets_the_table_as_any_event(gateway: Gateway) -> None:
    _configure(gateway, once={"on": "alarms", "target": "sync", "once": {}})
    old_id = await _send(gateway, HIGH)
    [decision] = (await gateway.post(f"/api/v1/events/{old_id}/replay")).json["decisions"]

    assert decision["decision"] == "merged"
    assert [decision["run_id"]] == (await _event(gateway, old_id))["run_ids"]


async def test_a_replay_of_what_was_asked_by_hand_asks_for_nothing_again(gateway: Gateway) -> None:
    run = (await gateway.post("/api/v1/targets/sync/run")).json
    answer = await gateway.post(f"/api/v1/events/{run['event_ids'][0]}/replay")

    assert answer.json["decisions"] == []
    assert len((await gateway.get("/api/v1/runs")).json["items"]) == 1


async def test_a_replay_of_what_was_rejected_is_rejected_for_the_same_reason(gateway: Gateway) -> None:
    given = GivenEvent(source="alarms", type="gateway.rejected", data=HIGH)
    event = given.happened(gateway.edge.current.snapshot.sources, gateway.edge.database.now())
    await gateway.edge.intake.accept([replace(event, rejection="not JSON")])
    answer = await gateway.post(f"/api/v1/events/{event.id}/replay")

    assert answer.json["decisions"] == [{"trigger": None, "decision": "error", "reason": "not JSON", "run_id": None}]


async def test_only_what_is_there_can_be_replayed(gateway: Gateway) -> None:
    for event_id in (new_id(), "1", "..%2fx", "%00"):
        assert (await gateway.post(f"/api/v1/events/{event_id}/replay")).status == 404
    event_id = await _send(gateway, HIGH)

    refused = await gateway.post(f"/api/v1/events/{event_id}/replay", json={"at": "now"})

    assert (refused.status, refused.json["errors"][0]["path"]) == (422, "at")
    assert len((await gateway.get("/api/v1/events")).json["items"]) == 1


EVENTS = "/api/v1/events"
GIVEN: dict[str, Any] = {"source": "alarms", "type": "alarm", "data": HIGH}


async def _give(gateway: Gateway, **parts: Any) -> dict[str, Any]:
    answer = await gateway.post(EVENTS, json=GIVEN | parts)
    assert answer.status == 202
    accepted: dict[str, Any] = answer.json
    return accepted


async def test_an_event_by_hand_is_all_that_is_said_of_it(gateway: Gateway) -> None:
    said = {"subject": "sw-1", "object": {"id": 7}, "changed": ["status"], "type": "{{ 7*7 }}"}
    accepted = await _give(gateway, **said, id="a", time="2026-01-31T13:00:00+01:00")
    event = await _event(gateway, accepted["event_id"])

    assert event.items() >= (said | {"source": "alarms", "data": HIGH, "sender_id": "a"}).items()
    assert event["time"] == "2026-01-31T12:00:00Z"
    assert accepted == {"event_id": event["id"], "duplicate": False, "decisions": event["decisions"]}
    assert [decision["decision"] for decision in event["decisions"]] == ["enqueued"]


async def test_what_is_not_said_of_an_event_is_nothing_and_its_time_is_now(gateway: Gateway) -> None:
    event = await _event(gateway, (await _give(gateway, data=None))["event_id"])

    assert [event[name] for name in ("subject", "object", "changed", "sender_id", "data", "headers")] == [
        *(None, None, [], None, None, {})
    ]
    assert event["time"] == event["received_at"]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(event["time"])).total_seconds() < 10  # noqa: TID251 - as told


async def test_an_event_by_hand_meets_deliveries_of_its_source(gateway: Gateway) -> None:
    sent = await _send(gateway, HIGH)
    by_hand, other = await _give(gateway, id="1"), await _give(gateway, id="2")

    assert by_hand == {"event_id": sent, "duplicate": True, "decisions": []}
    assert other["event_id"] != sent == await _send(gateway, HIGH)
    assert await _send(gateway, HIGH | {"uid": "2"}) == other["event_id"]


async def test_events_without_an_id_and_those_of_the_api_are_all_different(gateway: Gateway) -> None:
    given: list[dict[str, Any]] = [{}, {}, {"source": "api", "id": "1"}, {"source": "api", "id": "1"}]

    assert len({(await _give(gateway, **one))["event_id"] for one in given}) == 4


@pytest.mark.parametrize("source", ["nothing", "gateway", "sync", "..", "x" * 500])
async def test_an_event_by_hand_is_of_a_source_that_there_is(gateway: Gateway, source: str) -> None:
    answer = await gateway.post(EVENTS, json=GIVEN | {"source": source})

    assert answer.status == 404
    assert source[:100] in answer.json["detail"]
    assert (await gateway.get(EVENTS)).json["items"] == []


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        ({"type": ""}, "type"),
        ({"type": " "}, "type"),
        ({"type": "x" * 501}, "type"),
        ({"type": None}, "type"),
        ({"source": ["alarms"]}, "source"),
        ({"id": ""}, "id"),
        ({"id": 5}, "id"),
        ({"subject": {}}, "subject"),
        ({"changed": "status"}, "changed"),
        ({"changed": [None]}, "changed.0"),
        ({"time": "2026-01-31T12:00:00"}, "time"),
        ({"time": 1}, "time"),
        ({"headers": {"x-a": "1"}}, "headers"),
        ({"rejection": "x"}, "rejection"),
        ({"replay_of": "x"}, "replay_of"),
    ],
    ids=str,
)
async def test_hostile_events_are_named(gateway: Gateway, parts: dict[str, Any], path: str) -> None:
    answer = await gateway.post(EVENTS, json=GIVEN | parts)

    assert answer.status == 422
    assert [error["path"] for error in answer.json["errors"]] == [path]
    assert (await gateway.get(EVENTS)).json["items"] == []


async def test_an_event_has_source_type_and_data(gateway: Gateway) -> None:
    refused = await gateway.post(EVENTS)

    assert refused.status == 422
    assert {error["path"] for error in refused.json["errors"]} == {"source", "type", "data"}


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"NaN", 400),
        (b'"\\u0000"', 400),
        (b'"\\ud800"', 400),
        (b"18446744073709551616", 400),
        (b"[" * 64 + b"]" * 64, 400),
        (b'"' + b"x" * 2**20 + b'"', 413),
    ],
    ids=lambda value: value[:20].decode() if isinstance(value, bytes) else None,
)
async def test_data_by_hand_is_held_to_what_holds_at_the_door(gateway: Gateway, data: bytes, status: int) -> None:
    body = orjson.dumps(GIVEN).replace(orjson.dumps(HIGH), data)

    answer = await gateway.post(EVENTS, data=BytesIO(body), headers={"Content-Type": "application/json"})

    assert answer.status == status
    assert (await gateway.get(EVENTS)).json["items"] == []
