"""What senders ask before they send."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.core.errors import Forbidden, Rejected, Unverified
from gateway.sources.webhook import Answer
from tests.sources.senders import NOW, event, incoming, source

TOKEN = {"scheme": "token", "name": "X-Token", "secret": "s3cr3t"}
VALIDATION = {"when": "query.validationToken is defined", "reply": "{{ query.validationToken }}"}


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
