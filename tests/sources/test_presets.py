"""The presets against what their systems really send."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest

from gateway.config.library import bundled
from gateway.core.errors import Unmappable, Unverified
from gateway.core.event import Event
from gateway.sources.imitate import imitate
from tests.sources.senders import NOW, captured, configured, event, incoming, preset, sent, source

PUSH = json.dumps(
    {"ref": "refs/heads/main", "commits": [], "repository": {"full_name": "example/lab", "id": 1}}, indent=2
).encode()
PULL_REQUEST = json.dumps(
    {
        "action": "edited",
        "number": 7,
        "changes": {"title": {"from": "Draft"}},
        "pull_request": {"title": "Ready", "number": 7},
        "repository": {"full_name": "example/lab"},
    }
).encode()
PING = b'{"zen": "Keep it logically awesome.", "hook_id": 5, "organization": {"login": "example"}}'


def test_netbox_as_captured() -> None:
    raw, headers = captured("netbox-site-updated")
    made = event(configured("netbox").to_events(incoming(raw, headers), NOW))

    assert (made.type, made.subject) == ("netbox.dcim.site.updated", "Site GW")
    assert made.changed == ("description",)
    assert made.object == made.data["data"]
    assert made.sender_id == "0b314aa9-edfc-4487-a2da-0acd321b9354/dcim.site/1/updated"
    assert made.time == datetime(2026, 11, 21, 9, 40, 47, 672184, UTC)
    assert made.body == raw
    assert made.headers == {"content-type": "application/json", "user-agent": "python-urllib3/2.8.0"}


def test_netbox_nothing_has_changed_about_what_was_created() -> None:
    raw, headers = captured("netbox-site-created")
    made = event(configured("netbox").to_events(incoming(raw, headers), NOW))

    assert (made.type, made.changed) == ("netbox.dcim.site.created", ())
    assert made.sender_id == "54168347-da86-4890-a545-416ff59c8dfd/dcim.site/1/created"


@pytest.mark.parametrize("name", ["netbox-site-created", "netbox-site-updated"])
def test_s01_netbox_one_changed_byte(name: str) -> None:
    raw, headers = captured(name)
    for position in (0, len(raw) // 2, len(raw) - 1):
        changed = bytes([*raw[:position], raw[position] ^ 1, *raw[position + 1 :]])
        with pytest.raises(Unverified):
            configured("netbox").to_events(incoming(changed, headers), NOW)


@pytest.mark.parametrize("event_type", ["deleted", "updated"])
def test_netbox_objects_of_one_bulk_request_are_different_deliveries(event_type: str) -> None:
    def of(number: int) -> Event:
        body = {"event": event_type, "timestamp": NOW.isoformat(), "object_type": "dcim.device", "request_id": "r-1"}
        data = {"id": number, "display": f"sw{number}", "name": f"sw{number}"}
        before = {"name": "a", "last_updated": "1", "gone": 1}
        after = None if event_type == "deleted" else {"name": "b", "last_updated": "2", "new": None}
        snapshots = {"prechange": before, "postchange": after}
        return sent("netbox", json.dumps(body | {"data": data, "snapshots": snapshots}).encode())

    assert of(1).delivery == of(1).delivery
    assert of(1).delivery != of(2).delivery
    assert of(1).changed == (() if event_type == "deleted" else ("name", "gone", "new"))


@pytest.mark.parametrize("request_id", [{}, {"request_id": None}])
def test_netbox_events_of_jobs_belong_to_no_request(request_id: dict[str, None]) -> None:
    body = {"event": "job_ended", "timestamp": NOW.isoformat(), "object_type": "core.job", "data": {"name": "sync"}}
    raw = json.dumps(body | request_id).encode()

    assert (sent("netbox", raw).type, sent("netbox", raw).subject) == ("netbox.core.job.job_ended", "sync")
    assert sent("netbox", raw).delivery == sent("netbox", raw).delivery
    assert sent("netbox", raw).delivery != sent("netbox", raw + b" ").delivery


def test_github_push() -> None:
    made = sent("github", PUSH, **{"X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"})

    assert (made.type, made.subject, made.changed) == ("github.push", "example/lab", ())
    assert made.sender_id == "72d3162e-cc78-11e3-81ab-4c9367dc0958"
    assert made.object == {"full_name": "example/lab", "id": 1}
    assert made.headers == {"content-type": "application/json", "x-github-event": "push"}


def test_github_types_name_the_action() -> None:
    made = sent("github", PULL_REQUEST, **{"X-GitHub-Event": "pull_request"})

    assert (made.type, made.changed) == ("github.pull_request.edited", ("title",))
    assert made.object == {"title": "Ready", "number": 7}


def test_github_ping() -> None:
    made = sent("github", PING, **{"X-GitHub-Event": "ping"})

    assert (made.type, made.subject, made.object) == ("github.ping", "example", None)


def test_github_form() -> None:
    """The signature is over the form, the event is the JSON in it."""
    raw = urlencode({"payload": PUSH.decode()}).encode()
    form = {"Content-Type": "application/x-www-form-urlencoded", "X-GitHub-Delivery": "d-1"}
    made = sent("github", raw, **form)

    assert (made.type, made.sender_id, made.body) == ("github.push", "d-1", PUSH)
    assert made.data == json.loads(PUSH)


def test_s01_github_the_signature_of_the_json_does_not_do_for_the_form() -> None:
    webhook = configured("github")
    sample = {"Content-Type": "application/x-www-form-urlencoded", "X-GitHub-Event": "push"}
    headers = imitate(webhook.settings, sample, PUSH, NOW)

    with pytest.raises(Unverified):
        webhook.to_events(incoming(urlencode({"payload": PUSH.decode()}).encode(), headers), NOW)


def test_github_a_delivery_without_an_id_gets_one() -> None:
    webhook = configured("github")
    headers = imitate(webhook.settings, {"X-GitHub-Event": "push"}, PUSH, NOW)
    first, again = (event(webhook.to_events(incoming(PUSH, headers), NOW)) for _ in range(2))

    assert first.delivery is not None
    assert first.delivery == again.delivery


def test_github_an_event_without_a_name_is_refused() -> None:
    webhook = configured("github")
    headers = imitate(webhook.settings, {}, PUSH, NOW)

    with pytest.raises(Unmappable, match=r"event\.type: .*x-github-event"):
        webhook.to_events(incoming(PUSH, headers), NOW)


SIGNED = [name for name in bundled().names("sources") if "secret" in bundled().load("sources", name).params]
STRANGE = [b"[]", b"1", b"null", b'"text"', b"{}", b'{"data": null, "event": {}, "snapshots": [], "alerts": {}}']


@pytest.mark.parametrize("name", SIGNED)
@pytest.mark.parametrize("raw", STRANGE)
def test_signed_bodies_of_another_form_are_refused_or_mapped(name: str, raw: bytes) -> None:
    with suppress(Unmappable):
        assert sent(name, raw).body == raw


@pytest.mark.parametrize("name", SIGNED)
def test_the_secret_is_required(name: str) -> None:
    assert bundled().load("sources", name).params["secret"].required is True
    with pytest.raises(ValueError, match="empty secret"):
        source(**preset(name, secret=""))


def test_standard_webhooks() -> None:
    webhook = source(**preset("standard-webhooks", secret="whsec_c2VjcmV0"))
    raw = '{"type": "a.b", "timestamp": "2027-01-15T11:59:00Z", "data": {"ort": "Zürich"}}'.encode()
    headers = imitate(webhook.settings, {"webhook-id": "msg_1"}, raw, NOW)
    made = event(webhook.to_events(incoming(raw, headers), NOW))

    assert (made.type, made.sender_id, made.object) == ("a.b", "msg_1", {"ort": "Zürich"})
    assert made.time == datetime(2027, 1, 15, 11, 59, tzinfo=UTC)


def test_standard_webhooks_may_say_nothing_but_their_id() -> None:
    webhook = source(**preset("standard-webhooks", secret="whsec_c2VjcmV0"))
    made = event(webhook.to_events(incoming(b"{}", imitate(webhook.settings, {}, b"{}", NOW)), NOW))

    assert (made.type, made.object, made.time) == ("webhook", None, NOW)
    assert made.sender_id is not None
