"""Events that people make: those that happened before, once more."""

from dataclasses import replace
from typing import Any

from gateway.core.ids import new_id
from gateway.core.trigger import Trigger
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


async def test_only_what_is_there_can_be_replayed(gateway: Gateway) -> None:
    for event_id in (new_id(), "1", "..%2fx", "%00"):
        assert (await gateway.post(f"/api/v1/events/{event_id}/replay")).status == 404
    event_id = await _send(gateway, HIGH)

    refused = await gateway.post(f"/api/v1/events/{event_id}/replay", json={"at": "now"})

    assert (refused.status, refused.json["errors"][0]["path"]) == (422, "at")
    assert len((await gateway.get("/api/v1/events")).json["items"]) == 1
