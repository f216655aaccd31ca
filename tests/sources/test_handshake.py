"""What senders ask before they send."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.core.errors import Forbidden, Rejected, Unmappable, Unverified
from gateway.sources.imitate import imitate
from gateway.sources.webhook import Answer
from tests.sources.senders import NOW, configured, event, incoming, sent, source

TOKEN = {"scheme": "token", "name": "X-Token", "secret": "s3cr3t"}
VALIDATION = {"when": "query.validationToken is defined", "reply": "{{ query.validationToken }}"}
MENTION = {
    "type": "event_callback",
    "event_id": "Ev1",
    "event_time": 1800014399,
    "event": {"type": "app_mention", "channel": "C1", "text": "größer"},
}


def test_a_challenge_is_answered_without_a_proof_and_without_a_body() -> None:
    webhook = source(verify=TOKEN, challenge=VALIDATION)

    assert webhook.to_events(incoming(b"", query={"validationToken": "a <b> ü"}), NOW) == Answer("a <b> ü")
    with pytest.raises(Unverified):
        webhook.to_events(incoming(b"{}"), NOW)
    with pytest.raises(Unverified):
        webhook.to_events(incoming(b"", query={"validationtoken": "x"}), NOW)


@pytest.mark.parametrize("raw", [b"[]", b"null", b"{}", b"not JSON", b"", b'{"type": null}', b'{"type": []}'])
def test_s01_what_is_no_challenge_needs_its_proof(raw: bytes) -> None:
    challenge = {"when": "body.type == 'url_verification'", "reply": "{{ body.challenge }}"}
    with pytest.raises(Unverified):
        source(verify=TOKEN, challenge=challenge).to_events(incoming(raw), NOW)


def test_a_challenge_without_what_should_be_answered_says_so() -> None:
    with pytest.raises(Unmappable, match=r"challenge\.reply: .*challenge"):
        configured("slack").to_events(incoming(b'{"type": "url_verification"}'), NOW)


def test_slack_asks_whether_somebody_is_there() -> None:
    raw = b'{"token": "t", "challenge": "3eZbrw1aB", "type": "url_verification"}'

    assert configured("slack").to_events(incoming(raw), NOW) == Answer("3eZbrw1aB")


def test_slack_events() -> None:
    made = sent("slack", json.dumps(MENTION, ensure_ascii=False).encode())

    assert (made.type, made.subject, made.object) == ("slack.app_mention", "C1", MENTION["event"])
    assert made.sender_id == "Ev1"
    assert made.time.timestamp() == 1800014399


@pytest.mark.parametrize(
    ("body", "kind", "sender_id"),
    [
        (MENTION | {"event": {"type": "channel_created", "channel": {"id": "C2"}}}, "channel_created", "Ev1"),
        ({"type": "block_actions", "trigger_id": "13345224609.738", "actions": []}, "block_actions", "13345224609.738"),
    ],
)
def test_other_slack_events(body: dict[str, Any], kind: str, sender_id: str) -> None:
    made = sent("slack", json.dumps(body).encode())

    assert (made.type, made.sender_id, made.subject) == (f"slack.{kind}", sender_id, None)


def test_s01_slack_signature_as_documented() -> None:
    """https://docs.slack.dev/authentication/verifying-requests-from-slack."""
    webhook = configured("slack")
    headers = imitate(webhook.settings, {}, b"{}", NOW)
    assert headers["X-Slack-Request-Timestamp"] == "1800014400"
    assert headers["X-Slack-Signature"].startswith("v0=")

    for changed in ({"X-Slack-Request-Timestamp": "1800014401"}, {"X-Slack-Signature": "v0=00"}):
        with pytest.raises(Unverified):
            webhook.to_events(incoming(b"{}", headers | changed), NOW)


def asked(headers: Mapping[str, str], method: str = "OPTIONS", **settings: Any) -> Mapping[str, str] | None:
    return source(**{"body": "cloudevents", **settings}).permission(method, headers, "192.0.2.7")


@pytest.mark.parametrize(("rate", "per_minute"), [(None, "*"), ("2/s", "120"), ("10/m", "10"), ("1/h", "1")])
def test_senders_of_cloudevents_are_told_that_they_may(rate: str | None, per_minute: str) -> None:
    given = asked({"WebHook-Request-Origin": "eventemitter.example.com"}, rate=rate)

    assert given == {
        "Allow": "POST",
        "WebHook-Allowed-Origin": "eventemitter.example.com",
        "WebHook-Allowed-Rate": per_minute,
    }


@pytest.mark.parametrize("origin", [None, "", "a b", "a\r\nSet-Cookie: x", "é", "\udcff", "x" * 254])
def test_an_origin_that_is_no_name_is_refused(origin: str | None) -> None:
    with pytest.raises(Rejected) as refused:
        asked({} if origin is None else {"WebHook-Request-Origin": origin})

    assert refused.value.status == 400


def test_only_those_who_may_call_are_told_so_and_only_by_sources_of_cloudevents() -> None:
    headers = {"WebHook-Request-Origin": "example.com"}
    with pytest.raises(Forbidden):
        asked(headers, allow=["198.51.100.0/24"])

    assert asked(headers, method="POST") is None
    assert asked(headers, body="json") is None


@pytest.mark.parametrize(
    "challenge",
    [
        {},
        {"when": "true"},
        {"when": "{{ x }}", "reply": ""},
        {"when": "event.id", "reply": ""},
        {"when": 1, "reply": 1},
    ],
)
def test_broken_challenges_are_refused(challenge: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        source(challenge=challenge)


def test_a_challenge_does_not_stand_in_the_way_of_events() -> None:
    assert event(source(challenge=VALIDATION).to_events(incoming(b"{}"), NOW)).type == "webhook"
