"""CloudEvents over HTTP: one event, whichever way it is sent; and what is none."""

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Rejected, TooLarge, Unmappable, Unparseable, UnsupportedEncoding
from gateway.core.event import Event
from gateway.sources.cloudevents import BATCH, STRUCTURED
from gateway.sources.webhook import Arrival, WebhookSource
from tests.sources.senders import NOW, event, events, incoming, preset, source

DATA = {"name": "Zürich", "ports": [1, 2]}
SENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "a-1",
    "source": "/inventory",
    "type": "com.example.updated",
    "subject": "sw 1",
    "time": "2027-01-15T11:59:00.5Z",
    "datacontenttype": "application/json",
    "site": "harbour",
    "data": DATA,
}
HEADERS = {f"ce-{name}": str(SENT[name]) for name in ("specversion", "id", "source", "type", "subject", "time", "site")}


def receiver(**settings: Any) -> WebhookSource:
    return source(**preset("cloudevents", verify={"scheme": "none"}) | settings)


def structured(document: Any, kind: str = STRUCTURED) -> Event:
    raw = json.dumps(document).encode()
    return event(receiver().to_events(incoming(raw, {"Content-Type": kind}), NOW))


def binary(raw: bytes, kind: str | None = "application/json", **more: str) -> Event:
    headers = HEADERS | more | ({"Content-Type": kind} if kind else {})
    return event(receiver().to_events(incoming(raw, headers), NOW))


def batch(*documents: Any) -> tuple[Event | None, ...]:
    arrival = receiver().to_events(incoming(json.dumps(documents).encode(), {"Content-Type": BATCH}), NOW)
    assert isinstance(arrival, Arrival)
    assert arrival.is_batch
    return arrival.events


@pytest.mark.parametrize("kind", [STRUCTURED, "Application/CloudEvents+JSON; charset=UTF-8"])
def test_structured(kind: str) -> None:
    made = structured(SENT, kind)

    assert (made.type, made.subject, made.object) == ("com.example.updated", "sw 1", DATA)
    assert made.sender_id == "/inventory a-1"
    assert made.time == datetime(2027, 1, 15, 11, 59, 0, 500_000, UTC)
    assert made.data == SENT
    assert made.body == json.dumps(SENT).encode()


def test_binary_and_batch_are_the_same_events() -> None:
    one = structured(SENT)
    (of_batch,) = batch(SENT)

    for other in (binary(json.dumps(DATA).encode()), of_batch):
        assert other is not None
        assert (other.data, other.object, other.delivery, other.type) == (one.data, one.object, one.delivery, one.type)
        assert json.loads(other.body) == SENT


def test_the_same_id_from_another_source_is_another_delivery() -> None:
    first, second, third = batch(SENT, SENT | {"source": "/other"}, SENT)

    assert first is not None
    assert second is not None
    assert third is not None
    assert first.delivery != second.delivery
    assert first.delivery == third.delivery


def test_what_is_optional_may_be_missing_or_null() -> None:
    least = {name: SENT[name] for name in ("specversion", "id", "source", "type")}
    for document in (least, least | {"subject": None, "time": None, "data": None}):
        made = structured(document)
        assert (made.subject, made.object, made.time) == (None, None, NOW)


def test_an_empty_batch_brings_nothing() -> None:
    assert batch() == ()


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("Z%C3%BCrich%20%E2%82%AC%2520%20%22q%22%20%F0%9F%98%80", 'Zürich €%20 "q" 😀'),  # by the SDK for Python, 2.2
        ("%41%2541", "A%41"),
        ('"quoted \\"so\\" %41"', 'quoted "so" A'),
        ("%zz 100%", "%zz 100%"),
        ("as it is €", "as it is €"),
        ("a+b", "a+b"),
    ],
)
def test_headers_are_decoded_once(header: str, value: str) -> None:
    assert binary(b"{}", **{"ce-subject": header}).subject == value


@pytest.mark.parametrize(
    ("raw", "kind", "data"),
    [
        (b'{"a": 1}', "application/vnd.x+json; charset=utf-8", {"data": {"a": 1}}),
        (b"[1]", "text/json", {"data": [1]}),
        (b"null", "application/json", {"data": None}),
        (b"1.5", "text/plain", {"data": "1.5"}),
        (b"<a/>", "application/xml", {"data": "<a/>"}),
        (b"text", None, {"data": "text"}),
        (b"\xff\x00", "application/octet-stream", {"data_base64": "/wA="}),
        (b"a\0b", "text/plain", {"data_base64": "YQBi"}),
        (b"", "application/json", {}),
    ],
)
def test_data_of_any_kind(raw: bytes, kind: str | None, data: dict[str, Any]) -> None:
    """In base64 it says the same as in a binary request."""
    made = binary(raw, kind)
    encoded = {**SENT, "data_base64": base64.b64encode(raw).decode(), "datacontenttype": kind or ""}
    encoded.pop("data")

    assert {name: made.data[name] for name in made.data if name.startswith("data") and name[4:5] in ("", "_")} == data
    assert structured(encoded).object == made.object == data.get("data")


NO_EVENTS: dict[str, Any] = {
    "a number": 1,
    "null": None,
    "a text": "x",
    "a list": [SENT],
    "nothing": {},
    "an old version": SENT | {"specversion": "0.3"},
    "a version that is a number": SENT | {"specversion": 1.0},
    "no id": SENT | {"id": None},
    "an empty id": SENT | {"id": ""},
    "an id that is a number": SENT | {"id": 1},
    "no source": SENT | {"source": ""},
    "a type that is a list": SENT | {"type": ["a"]},
    "data twice": SENT | {"data_base64": "e30="},
    "broken base64": {**SENT, "data": None, "data_base64": "e30"},
    "base64 that is no text": {**SENT, "data": None, "data_base64": {"a": 1}},
    "base64 beyond ASCII": {**SENT, "data": None, "data_base64": "é"},
    "base64 of what is no JSON": {**SENT, "data": None, "data_base64": "ew=="},
}


@pytest.mark.parametrize("document", NO_EVENTS.values(), ids=NO_EVENTS.keys())
def test_what_is_no_event_is_refused_alone_and_in_a_batch(document: Any) -> None:
    with pytest.raises(Unparseable):
        structured(document)
    with pytest.raises(Unparseable, match="item 1: "):
        batch(SENT, document)


@pytest.mark.parametrize(
    ("raw", "headers"),
    [
        (b"{}", {"Content-Type": "application/json"}),
        (b"{}", HEADERS | {"ce-id": ""}),
        (b"{}", HEADERS | {"ce-specversion": "1.1"}),
        (b"{}", HEADERS | {"ce-subject": "%ff"}),
        (b"{}", HEADERS | {"ce-subject": "\udcff"}),
        (b"{}", HEADERS | {"ce-subject": "%00"}),
        (b"{}", HEADERS | {"ce-data": "x"}),
        (b"{}", HEADERS | {"ce-data_base64": "x"}),
        (b"{", HEADERS | {"Content-Type": "application/json"}),
        (b"{}", {"Content-Type": BATCH}),
        (b"{", {"Content-Type": STRUCTURED}),
        (b"", {"Content-Type": STRUCTURED}),
    ],
    ids=repr,
)
def test_s03_requests_that_are_no_events_are_refused(raw: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(Unparseable):
        receiver().to_events(incoming(raw, headers), NOW)


def test_other_formats_and_huge_batches_are_refused() -> None:
    with pytest.raises(UnsupportedEncoding):
        structured(SENT, "application/cloudevents+xml")
    assert len(batch(*[SENT] * 1000)) == 1000
    with pytest.raises(TooLarge):
        batch(*[SENT] * 1001)


def test_one_event_that_cannot_be_mapped_refuses_the_batch_and_is_named() -> None:
    with pytest.raises(Unmappable, match=r"item 1: event\.time: ") as refused:
        batch(SENT, SENT | {"time": "yesterday"})

    assert list(refused.value.errors) == ["items[1]"]


def test_some_of_a_batch_may_be_ignored() -> None:
    raw = json.dumps([SENT, SENT | {"type": "heartbeat"}, SENT]).encode()
    received = receiver(ignore="body.type == 'heartbeat'").to_events(incoming(raw, {"Content-Type": BATCH}), NOW)

    assert [one is None for one in events(received)] == [False, True, False]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=8,
)
MEMBERS = st.sampled_from([*SENT, "data_base64"])


@given(
    raw=st.binary(max_size=100)
    | st.dictionaries(MEMBERS, JSON | st.just("1.0")).map(lambda more: json.dumps(SENT | more).encode()),
    headers=st.dictionaries(
        st.sampled_from(["ce-id", "ce-specversion", "ce-source", "ce-type", "ce-data", "ce-é", "ce-"]),
        st.text(max_size=20) | st.just("1.0"),
    ),
    kind=st.sampled_from([STRUCTURED, BATCH, "application/json", "", ";", "application/cloudevents"]),
)
def test_s20_anything_at_all_is_an_event_or_refused(raw: bytes, headers: dict[str, str], kind: str) -> None:
    with suppress(Rejected):
        for one in events(receiver().to_events(incoming(raw, headers | {"Content-Type": kind}), NOW)):
            assert one is not None
            assert json.loads(one.body) == one.data
