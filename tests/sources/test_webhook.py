"""From a request to an event: who is admitted, what is ignored, and what an event says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.core.errors import Forbidden, MethodNotAllowed, TooMany, Unmappable, Unparseable, Unverified
from gateway.core.event import Delivery
from gateway.sources import KINDS
from gateway.sources.imitate import imitate
from gateway.sources.webhook import Settings, WebhookSource
from tests.sources.senders import NOW, event, events, incoming, source

ALARM = b'{"uid": "a-1", "severity": "high", "host": "web1", "alarm": {"disk": 97}, "at": 1800014400}'
ALARMS: dict[str, Any] = {
    "event": {
        "id": "{{ body.uid }}",
        "type": "alarm.{{ body.severity }}",
        "subject": "{{ body.host }}",
        "object": "{{ body.alarm }}",
    },
}


def test_an_event_says_what_its_templates_say() -> None:
    made = event(source(**ALARMS).to_events(incoming(ALARM), NOW))

    assert (made.source, made.type, made.subject) == ("alarms", "alarm.high", "web1")
    assert made.object == {"disk": 97}
    assert (made.sender_id, made.delivery) == ("a-1", Delivery(scope="alarms", id="a-1", window=timedelta(days=7)))
    assert (made.time, made.received_at, made.changed) == (NOW, NOW, ())
    assert made.body == ALARM
    assert made.data["at"] == 1800014400


def test_templates_see_headers_in_lower_case_query_and_raw() -> None:
    webhook = source(
        event={"id": "{{ sha256(raw) }}", "type": "{{ headers['x-kind'] }}", "subject": "{{ query.host }}"}
    )
    made = event(webhook.to_events(incoming(b"{}", {"X-Kind": "door"}, {"host": "web2"}), NOW))

    assert (made.type, made.subject) == ("door", "web2")
    assert made.sender_id == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_a_body_of_four_mebibytes_is_signed_hashed_and_mapped() -> None:
    verify = {"scheme": "hmac", "header": "X-Signature", "secret": "s", "message": "{{ headers['x-id'] }}.{{ raw }}"}
    webhook = source(body="text", verify=verify, event={"id": "{{ sha256(raw) }}", "object": "{{ body }}"})
    raw = b"x" * (4 * 2**20)
    headers = imitate(webhook.settings, {"X-Id": "1"}, raw, NOW)

    assert event(webhook.to_events(incoming(raw, headers), NOW)).object == raw.decode()


def test_a_source_without_templates_makes_events_of_type_webhook() -> None:
    made = event(source().to_events(incoming(b"[]"), NOW))

    assert (made.type, made.subject, made.object, made.sender_id, made.delivery) == ("webhook", None, None, None, None)


@pytest.mark.parametrize("template", [None, "", "{{ body.none }}", "{{ body.empty }}", " "])
def test_an_event_without_an_id_has_no_delivery(template: str | None) -> None:
    made = event(source(event={"id": template}).to_events(incoming(b'{"none": null, "empty": ""}'), NOW))

    assert (made.sender_id, made.delivery) == (None, None)


def test_two_sources_may_share_their_memory() -> None:
    webhook = source(**ALARMS, dedup={"scope": "shared", "window": "1h"})
    made = event(webhook.to_events(incoming(ALARM), NOW))

    assert made.delivery == Delivery(scope="shared", id="a-1", window=timedelta(hours=1))


@pytest.mark.parametrize(
    ("template", "time"),
    [
        ("{{ body.at }}", NOW),
        ("2027-01-15T13:30:00+01:30", NOW),
        ("2027-01-15T12:00:00Z", NOW),
        ("2027-01-15 12:00", NOW),
        ("{{ body.at + 0.5 }}", NOW + timedelta(seconds=0.5)),
        ("", NOW + timedelta(hours=1)),
    ],
)
def test_the_time_of_an_event(template: str, time: datetime) -> None:
    made = event(source(event={"time": template}).to_events(incoming(ALARM), NOW + timedelta(hours=1)))

    assert made.time == time
    assert made.time.tzinfo is UTC


UNMAPPABLE: dict[str, tuple[dict[str, Any], str]] = {
    "a name that is missing": ({"subject": "{{ body.nobody }}"}, r"event\.subject: .*nobody"),
    "a missing header": ({"id": "{{ headers['x-id'] }}"}, r"event\.id: .*x-id"),
    "a missing name inside a text": ({"type": "alarm.{{ body.kind }}"}, r"event\.type: .*kind"),
    "a missing name in statements": ({"type": "{% if body.kind %}a{% endif %}"}, r"event\.type: .*kind"),
    "an empty type": ({"type": "{{ body.empty }}"}, r"event\.type: is empty"),
    "a type of blanks": ({"type": "  "}, r"event\.type: is empty"),
    "a list as id": ({"id": "{{ body.list }}"}, r"event\.id: expected a text, got list"),
    "a very long id": ({"id": "{{ body.long }}"}, r"event\.id: longer than 500"),
    "NUL from the query": ({"subject": "{{ query.nul }}"}, r"event\.subject: a NUL"),
    "bytes of a header that are no UTF-8": ({"id": "{{ headers['x-odd'] }}"}, r"event\.id: no JSON value"),
    "an object with such a header": ({"object": "{{ {'odd': headers['x-odd']} }}"}, r"event\.object: no JSON value"),
    "an object with NUL": ({"object": "{{ {'odd': (query.nul, 1)} }}"}, r"event\.object: a NUL"),
    "an object that is a function": ({"object": "{{ now }}"}, r"event\.object: .*function"),
    "no time": ({"time": "yesterday"}, r"event\.time: "),
    "a time after the end of time": ({"time": "{{ body.huge }}"}, r"event\.time: "),
    "a time before its beginning": ({"time": "0001-01-01T00:00:00+14:00"}, r"event\.time: "),
    "a list as time": ({"time": "{{ body.list }}"}, r"event\.time: "),
    "a text as changed": ({"changed": "status"}, r"event\.changed: expected a list of names, got str"),
    "lists in changed": ({"changed": "{{ [body.list] }}"}, r"event\.changed: expected a text"),
}


@pytest.mark.parametrize(("templates", "reason"), UNMAPPABLE.values(), ids=UNMAPPABLE.keys())
def test_what_cannot_be_mapped_says_which_template_and_why(templates: dict[str, Any], reason: str) -> None:
    body = b'{"empty": "", "list": [[1]], "huge": 1e300, "long": "' + b"x" * 501 + b'"}'
    request = incoming(body, {"X-Odd": "\udcff"}, {"nul": "\0"})

    with pytest.raises(Unmappable, match=reason) as refused:
        source(event=templates).to_events(request, NOW)
    assert refused.value.status == 422


def test_ignored_requests_make_no_event() -> None:
    webhook = source(ignore="body.kind == 'heartbeat'")

    assert events(webhook.to_events(incoming(b'{"kind": "heartbeat"}'), NOW)) == (None,)
    assert event(webhook.to_events(incoming(b'{"kind": "alarm"}'), NOW)).data == {"kind": "alarm"}


@pytest.mark.parametrize("raw", [b"{}", b"[]", b'{"kind": {}}'])
def test_what_cannot_be_told_to_be_ignored_is_an_event(raw: bytes) -> None:
    webhook = source(ignore="body.kind.upper() == 'HEARTBEAT'")

    assert event(webhook.to_events(incoming(raw), NOW)).body == raw


def test_verification_comes_before_everything_else() -> None:
    verify = {"scheme": "token", "name": "X-Token", "secret": "s3cr3t"}
    webhook = source(verify=verify, ignore="true")

    for raw in (b"{}", b"not JSON"):
        with pytest.raises(Unverified):
            webhook.to_events(incoming(raw), NOW)
    with pytest.raises(Unparseable):
        webhook.to_events(incoming(b"not JSON", {"x-token": "s3cr3t"}), NOW)


def test_only_listed_headers_are_kept() -> None:
    headers = {"X-Kind": "a\udcff", "User-Agent": "curl", "Authorization": "Bearer x", "Cookie": "c", "X-Other": "o"}
    by_default = event(source().to_events(incoming(b"{}", headers), NOW))
    listed = event(source(headers=["X-Kind", "X-Absent"]).to_events(incoming(b"{}", headers), NOW))

    assert by_default.headers == {"user-agent": "curl"}
    assert listed.headers == {"x-kind": "a\ufffd"}


@pytest.mark.parametrize("header", ["Authorization", "cookie", "Proxy-Authorization", "x-hub-SIGNATURE-256"])
def test_s09_headers_that_hold_a_proof_are_never_kept(header: str) -> None:
    verify = {"scheme": "hmac", "header": "X-Hub-Signature-256", "secret": "s"}
    with pytest.raises(ValidationError, match="holds a proof"):
        source(headers=["x-kind", header], verify=verify)


def test_methods() -> None:
    webhook = source(methods=["POST", "PUT"])

    webhook.admit("PUT", "192.0.2.7", 0)
    with pytest.raises(MethodNotAllowed) as refused:
        webhook.admit("GET", "192.0.2.7", 0)
    assert (refused.value.status, refused.value.allowed) == (405, ("POST", "PUT"))


@pytest.mark.parametrize(
    ("remote", "allowed"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("2001:db8::5", True),
        ("fe80::1%eth0", True),
        ("192.0.3.7", False),
        ("::ffff:192.0.3.7", False),
        ("2001:db9::5", False),
        ("::192.0.2.7", False),
        ("", False),
        ("localhost", False),
        ("192.0.2.7, 10.0.0.1", False),
        ("0300.0.2.7", False),
    ],
)
def test_only_addresses_of_the_list_may_call(remote: str, allowed: bool) -> None:
    webhook = source(allow=["192.0.2.0/24", "2001:db8::/32", "fe80::/10"])

    if allowed:
        webhook.admit("POST", remote, 0)
    else:
        with pytest.raises(Forbidden) as refused:
            webhook.admit("POST", remote, 0)
        assert refused.value.status == 403


def test_requests_over_the_rate_are_told_when_to_come_again() -> None:
    webhook = source(rate="10/m")
    for _ in range(10):
        webhook.admit("POST", "192.0.2.7", 1000.0)
    with pytest.raises(TooMany) as refused:
        webhook.admit("POST", "192.0.2.7", 1000.0)

    assert refused.value.status == 429
    assert refused.value.retry_after == pytest.approx(6)
    webhook.admit("POST", "192.0.2.7", 1006.1)
    with pytest.raises(TooMany):
        webhook.admit("POST", "192.0.2.7", 1006.2)


def test_refused_requests_take_nothing_from_the_rate() -> None:
    webhook = source(rate="1/h", allow=["192.0.2.0/24"])
    for method, remote in (("POST", "203.0.113.1"), ("GET", "192.0.2.7")):
        with pytest.raises((Forbidden, MethodNotAllowed)):
            webhook.admit(method, remote, 0)

    webhook.admit("POST", "192.0.2.7", 0)


def test_the_bucket_never_holds_more_than_the_rate() -> None:
    webhook = source(rate="2/s")
    webhook.admit("POST", "", 0)
    for _ in range(2):
        webhook.admit("POST", "", 3600)
    with pytest.raises(TooMany):
        webhook.admit("POST", "", 3600)


@pytest.mark.parametrize("path", ["/api", "/api/v1/runs", "/healthz", "/metrics", "hooks", "/", "/a b", "/é"])
def test_a_path_of_the_gateway_itself_or_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"kind": "webhook", "path": path, "verify": {"scheme": "none"}})


def test_the_path_is_the_name_unless_stated() -> None:
    assert source("door-1").path == "/hooks/door-1"
    assert source(path="/hooks/in/door").path == "/hooks/in/door"
    assert source(path="/apiary").path == "/apiary"


BROKEN_SETTINGS: list[dict[str, Any]] = [
    {"rate": "100"},
    {"rate": "0/s"},
    {"rate": "1/d"},
    {"rate": "٣/s"},
    {"rate": 5},
    {"allow": ["192.0.2.0/33"]},
    {"allow": ["192.0.2.1/24"]},
    {"allow": ["example.org"]},
    {"methods": []},
    {"methods": ["TRACE"]},
    {"body": "xml"},
    {"body": "text", "form_field": "payload"},
    {"path": "hooks"},
    {"path": "/hooks/{name}"},
    {"reply": "maximal"},
    {"reply": {"status": 302}},
    {"reply": {"status": 500}},
    {"headers": ["a b"]},
    {"headers": ["a\r\nb: c"]},
    {"event": {"id": "{{ event.id }}"}},
    {"event": {"id": "{{ body.id"}},
    {"event": {"colour": "red"}},
    {"ignore": "{{ body.kind }}"},
    {"ignore": "kind"},
    {"secret": "s3cr3t"},
    {"verify": None},
    {"verify": {"scheme": "hmac", "header": "X", "secret": "s", "message": "{{ body }}"}},
    {"verify": {"scheme": "hmac", "header": "X", "secret": "s", "prefix": "v1,"}},
    {"verify": {"scheme": "hmac", "header": "X Y", "secret": "s"}},
    {"verify": {"scheme": "token", "in": "cookie", "name": "t", "secret": "s"}},
    {"verify": {"scheme": "token", "in": "body", "name": "t", "secret": "s"}, "body": "text"},
    {"verify": {"scheme": "basic", "username": "a:b", "password": "s"}},
]


@pytest.mark.parametrize("settings", BROKEN_SETTINGS, ids=repr)
def test_broken_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        source(**settings)


def test_the_example_of_the_manual() -> None:
    settings = KINDS["webhook"].model_validate(
        ALARMS
        | {
            "kind": "webhook",
            "path": "/hooks/alarms",
            "methods": ["POST"],
            "body": "json",
            "verify": {
                "scheme": "hmac",
                "header": "X-Signature",
                "algorithm": "sha256",
                "encoding": "hex",
                "prefix": "sha256=",
                "secret": ["new", "old"],
                "message": "{{ headers['x-timestamp'] }}.{{ raw }}",
                "timestamp": {"header": "X-Timestamp", "tolerance": "5m"},
            },
            "ignore": "body.kind == 'heartbeat'",
            "reply": {"status": 200, "body": "ok"},
            "dedup": {"window": "7d", "scope": "alarms"},
            "rate": "100/s",
            "allow": ["192.0.2.0/24"],
        }
    )

    assert isinstance(settings, Settings)
    assert WebhookSource("alarms", settings).path == "/hooks/alarms"
    assert settings.model_dump(mode="json")["rate"] == "100/s"
    assert Settings.model_json_schema()["properties"]["rate"]["anyOf"][0] == {"type": "string"}
