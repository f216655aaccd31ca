"""One request, many events."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.core.errors import TooLarge, Unmappable
from gateway.sources.webhook import Arrival, WebhookSource
from tests.sources.senders import NOW, events, incoming, source

SPLIT: dict[str, Any] = {
    "split": "{{ body.value }}",
    "event": {"id": "{{ item.id }}", "type": "{{ body.kind }}.{{ item.type }}", "object": "{{ item.data }}"},
}


def arrived(webhook: WebhookSource, body: Any) -> Arrival:
    received = webhook.to_events(incoming(json.dumps(body).encode()), NOW)
    assert isinstance(received, Arrival)
    return received


def test_each_element_is_an_event_that_holds_it_alone() -> None:
    value = [{"id": "a", "type": "new", "data": 1}, {"id": "b", "type": "gone", "data": {"ü": None}}]
    received = arrived(source(**SPLIT), {"kind": "vm", "value": value})
    first, second = (one for one in received.events if one)

    assert received.is_batch
    assert (first.type, first.sender_id, first.object) == ("vm.new", "a", 1)
    assert (second.type, second.sender_id, second.object) == ("vm.gone", "b", {"ü": None})
    assert [first.data, second.data] == value
    assert [json.loads(one.body) for one in (first, second)] == value
    assert first.id != second.id


def test_elements_that_share_the_id_of_their_request_are_told_apart_by_their_places() -> None:
    webhook = source(split="{{ body.items }}", event={"id": "{{ body.uid }}"})
    received = arrived(webhook, {"uid": "a-1", "items": [1, 2]})

    assert [one.sender_id for one in received.events if one] == ["a-1/0", "a-1/1"]
    assert [one.delivery.id for one in received.events if one and one.delivery] == ["a-1/0", "a-1/1"]


def test_an_empty_list_brings_nothing() -> None:
    assert arrived(source(**SPLIT), {"value": []}) == Arrival((), is_batch=True)


def test_some_elements_may_be_ignored() -> None:
    webhook = source(split="{{ body }}", ignore="item.kind == 'heartbeat'")
    received = arrived(webhook, [{"kind": "heartbeat"}, {"kind": "alarm"}])

    assert [one is None for one in received.events] == [True, False]


@pytest.mark.parametrize("value", [None, 1, "text", {"a": 1}])
def test_what_is_no_list_is_refused(value: Any) -> None:
    with pytest.raises(Unmappable, match=r"split: expected a list"):
        arrived(source(**SPLIT), {"kind": "vm", "value": value})


@pytest.mark.parametrize("body", [[], 1, {"values": []}])
def test_what_is_missing_is_named(body: Any) -> None:
    with pytest.raises(Unmappable, match=r"split: .*value"):
        arrived(source(**SPLIT), body)


@pytest.mark.parametrize("broken", [1, None, [], "x", {"id": "b"}, {"id": ["b"], "type": "t", "data": 1}])
def test_one_broken_element_refuses_all_and_is_named(broken: Any) -> None:
    value = [{"id": "a", "type": "new", "data": 1}, broken]
    with pytest.raises(Unmappable, match=r"^item 1: event\.") as refused:
        arrived(source(**SPLIT), {"kind": "vm", "value": value})

    assert list(refused.value.errors) == ["items[1]"]


def test_elements_that_cannot_be_stored_are_refused() -> None:
    webhook = source(split="{{ [headers['x-odd']] }}")
    with pytest.raises(Unmappable, match=r"^item 0: no JSON value"):
        webhook.to_events(incoming(b"{}", {"X-Odd": "\udcff"}), NOW)


def test_at_most_a_thousand_events_come_with_one_request() -> None:
    webhook = source(split="{{ body }}")

    assert len(events(webhook.to_events(incoming(b"[" + b"1," * 999 + b"1]"), NOW))) == 1000
    with pytest.raises(TooLarge):
        webhook.to_events(incoming(b"[" + b"1," * 1000 + b"1]"), NOW)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"event": {"id": "{{ item.id }}"}}, "item is an element"),
        ({"ignore": "item.kind == 'x'"}, "item is an element"),
        ({"split": "{{ item }}"}, "unknown name 'item'"),
        ({"split": "{{ body }}", "body": "cloudevents"}, "split without being told"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        source(**settings)
