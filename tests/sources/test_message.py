"""Messages: what becomes an event, what is kept of the rest, and which deliveries are the same."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.core.event import Event
from gateway.sources.message import MAX_HEADERS, REJECTED, Message
from gateway.sources.queue import QueueSource, Settings

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
ABSENT = dict.fromkeys(("message_id", "type", "content_type", "content_encoding", "timestamp"))
ROUTED: dict[str, Any] = {**ABSENT, "routing_key": "node.created", "exchange": "events"}


def source(**settings: Any) -> QueueSource:
    return QueueSource("inventory", Settings(kind="amqp", url="amqp://localhost/", queue="q", **settings))


def message(body: bytes = b"{}", headers: Any = None, *, redelivered: bool = False, **properties: Any) -> Message:
    return Message(body=body, headers=headers or {}, properties=ROUTED | properties, redelivered=redelivered)


def read(one: Message, **settings: Any) -> Event:
    return source(**settings).reader.read(one, NOW, 1000)


def test_body_and_properties_make_an_event() -> None:
    event = read(message(b'{"a": 1}', message_id="7", timestamp=NOW - timedelta(hours=1), app_id="netbox"))

    assert (event.type, event.sender_id, event.time) == ("node.created", "7", NOW - timedelta(hours=1))
    assert (event.data, event.body) == ({"a": 1}, b'{"a": 1}')
    assert event.headers == {"exchange": "events", "routing_key": "node.created", "app_id": "netbox"}
    assert event.delivery
    assert (event.delivery.scope, event.delivery.id) == ("inventory", "7")


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, "node.created"),
        ({"type": "node.mutated"}, "node.mutated"),
        ({"routing_key": ""}, "message"),
    ],
)
def test_the_type_is_the_property_or_else_the_routing_key(properties: Any, expected: str) -> None:
    assert read(message(**properties)).type == expected


def test_templates_see_body_headers_and_properties() -> None:
    templates = {
        "id": "{{ headers['x-id'] }}",
        "type": "{{ properties.exchange }}.{{ body.kind }}",
        "subject": "{{ properties.correlation_id }}",
        "object": "{{ body }}",
    }
    event = read(
        message(b'{"kind": "site"}', {"x-id": b"4", "x-kept": 5}, correlation_id="c"),
        event=templates,
        headers=["x-kept"],
    )

    assert (event.sender_id, event.type, event.subject, event.object) == ("4", "events.site", "c", {"kind": "site"})
    assert event.headers["x-kept"] == "5"


@pytest.mark.parametrize("prefix", ["cloudEvents:", "cloudEvents_"])
def test_a_cloud_event_in_headers(prefix: str) -> None:
    attributes = {"specversion": "1.0", "id": "1", "source": "/sync", "type": "done", "time": NOW}
    headers = {prefix + name: value for name, value in attributes.items()}
    event = read(message(b'{"ok": true}', headers, content_type="application/json", message_id="other"))

    assert (event.type, event.sender_id, event.time) == ("done", "/sync 1", NOW)
    assert event.data["data"] == {"ok": True}


def test_a_cloud_event_in_the_body() -> None:
    body = b'{"specversion":"1.0","id":"1","source":"/sync","type":"done","subject":"s","data":{"ok":true}}'
    one = message(body, content_type="application/cloudevents+json; charset=utf-8")
    event = read(one)

    assert (event.type, event.sender_id, event.subject, event.body) == ("done", "/sync 1", "s", body)
    assert read(one, event={"type": "own.{{ body.type }}"}).type == "own.done"


@pytest.mark.parametrize("headers", [{"cloudEvents:specversion": "1.0"}, {"cloudEvents:specversion": None}])
def test_half_a_cloud_event_is_rejected(headers: Any) -> None:
    assert read(message(b"{}", headers)).rejection


def nested(levels: int) -> Any:
    table: Any = "bottom"
    for _ in range(levels):
        table = {"a": table}
    return table


S03 = [
    b"",
    b"{",
    b"\xff\xfe{}",
    b"[" * 100 + b"]" * 100,
    b'{"a":NaN}',
    b'{"a":1e999}',
    b'"\\u0000"',
    b'"\\ud800"',
    b"9" * 30,
]
S17: list[Any] = [
    {"x-death": [{"queue": "q", "count": number} for number in range(10_000)]},
    {"long": "x" * MAX_HEADERS},
    {"deep": nested(70)},
    {"nul": "a\0b"},
    {"nested": {"nul": ["a\0b"]}},
]


@pytest.mark.parametrize("body", S03, ids=repr)
def test_s03_a_hostile_body_is_rejected_and_kept(body: bytes) -> None:
    event = read(message(body))

    assert event.rejection
    assert (event.type, event.data["reason"], event.delivery) == (REJECTED, event.rejection, None)
    assert (event.data["body"] == body.decode(errors="replace")) or event.data["encoding"] == "base64"


@pytest.mark.parametrize("headers", S17, ids=lambda headers: next(iter(headers)))
def test_s17_hostile_headers_are_rejected(headers: Any) -> None:
    event = read(message(b"{}", headers, message_id="1"))

    assert "headers" in (event.rejection or "")
    assert "headers" not in event.data
    assert event.data["properties"]["message_id"] == "1"


def test_s17_honest_headers_of_all_types_are_seen() -> None:
    table = {
        "bytes": b"\xff",
        "none": None,
        "when": NOW,
        "number": Decimal("1.5"),
        "no JSON": [float("nan"), float("-inf")],
        "table": {"list": [1, True, 2.5, b"x", {"deep": None}]},
    }
    event = read(message(b"{}", table), event={"object": "{{ headers }}"})

    assert event.rejection is None
    assert event.object == orjson.loads(orjson.dumps(event.object))
    assert event.object == {
        "bytes": "\ufffd",
        "none": None,
        "when": NOW.isoformat(),
        "number": "1.5",
        "no JSON": ["nan", "-inf"],
        "table": {"list": [1, True, 2.5, "x", {"deep": None}]},
    }


FIELDS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=4)
    | st.datetimes(timezones=st.just(UTC))
    | st.decimals(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=3), values, max_size=3),
    max_leaves=6,
)
BODIES = st.binary(max_size=30) | st.sampled_from(
    [b"{}", b'"\\ud800"', b'{"specversion": "1.0", "id": "a", "source": "b", "type": "c"}']
)
ATTRIBUTES = [f"cloudEvents{mark}{name}" for mark in ":_" for name in ("specversion", "id", "source", "type", "data")]
SOURCES = [source(), source(body="text", event={"id": "{{ headers.a }}", "object": "{{ headers }}"})]


@given(
    raw=BODIES,
    headers=st.dictionaries(st.sampled_from(["a", "x-death", *ATTRIBUTES]), st.just("1.0") | FIELDS, max_size=6),
    properties=st.fixed_dictionaries({}, optional=dict.fromkeys([*ABSENT, "routing_key", "app_id"], FIELDS)),
    content_type=st.sampled_from(["application/cloudevents+json", "application/json", "text/plain", ""]),
)
def test_s20_any_message_is_an_event_that_is_stored_as_it_was_seen(
    raw: bytes, headers: dict[str, Any], properties: dict[str, Any], content_type: str
) -> None:
    for one in SOURCES:
        event = one.reader.read(message(raw, headers, **{"content_type": content_type, **properties}), NOW, 1000)

        assert orjson.loads(event.body) == event.data
        assert orjson.loads(orjson.dumps([event.object, dict(event.headers)])) == [event.object, event.headers]


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (message(b"x" * 1001), "the body has 1001 bytes, and may have 1000"),
        (message(b"{}", content_encoding="gzip"), "the compressed body is broken"),
        (message(b"{}", message_id="x" * 501), "event.id: longer than 500 characters"),
        (message(b"{}", type=" "), "event.type: is empty"),
        (message(b"{}", correlation_id="\0"), "properties: a NUL character"),
    ],
)
def test_what_cannot_be_mapped_says_why(one: Message, reason: str) -> None:
    assert read(one).rejection == reason


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "", None, "binary"])
def test_a_content_encoding_may_be_a_character_set(encoding: str | None) -> None:
    assert read(message(b'{"a":"\xc3\xa9"}', content_encoding=encoding)).data == {"a": "é"}


def test_texts_need_no_json() -> None:
    assert read(message(b"sync now"), body="text").data == "sync now"


def test_without_id_only_a_redelivery_is_compared_for_an_hour() -> None:
    first, again = read(message(b"{}")).delivery, read(message(b"{}", redelivered=True)).delivery

    assert first
    assert again
    assert first.id == again.id
    assert (first.compared, again.compared) == (False, True)
    assert first.window == again.window == timedelta(hours=1)


def test_the_broker_s_count_of_deliveries_makes_no_difference_but_all_else_does() -> None:
    one = message(b"{}", {"a": 1})
    same = replace(one, headers={"a": 1, "x-delivery-count": 3})
    others = [message(b"{ }", {"a": 1}), message(b"{}", {"a": 2}), message(b"{}", {"a": 1}, correlation_id="2")]
    ids = [read(each).delivery for each in (one, same, *others)]

    assert ids[0] == ids[1]
    assert len({delivery.id for delivery in ids if delivery}) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://localhost/"},
        {"url": "amqp://"},
        {"queue": ""},
        {"queue": "x" * 300},
        {"prefetch": 0},
        {"declare": False, "bindings": [{"exchange": "e"}]},
        {"declare": False, "single_active_consumer": True},
        {"event": {"type": "{{ query.a }}"}},
    ],
    ids=repr,
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as error:
        Settings.model_validate({"kind": "amqp", "url": "amqp://u:the-password@localhost/", "queue": "q"} | wrong)

    assert "the-password" not in str(error.value)
