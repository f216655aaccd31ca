"""Slack: its question, its events, and its forms."""

import json
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway.core.errors import Unmappable, Unverified
from gateway.sources.incoming import Received
from gateway.sources.webhook import Answer
from tests.sources.senders import NOW, configured, incoming, preset, sent, source

MENTION = {
    "type": "event_callback",
    "event_id": "Ev1",
    "event_time": 1800014399,
    "event": {"type": "app_mention", "channel": "C1", "text": "größer"},
}


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


DOCUMENTED = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
    b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)


@pytest.mark.parametrize(
    ("stamp", "signature", "seconds", "believed"),
    [
        ("1531420618", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503", 300, True),
        ("1531420618", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503", 301, False),
        ("1531420619", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503", 0, False),
        ("1531420618", "v1=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503", 0, False),
        ("1531420618", "v0=00", 0, False),
    ],
)
def test_s01_slack_signature_as_documented(stamp: str, signature: str, seconds: int, believed: bool) -> None:
    """https://docs.slack.dev/authentication/verifying-requests-from-slack."""
    verify = source(**preset("slack", secret="8f742231b10e8888abcd99yyyzzz85a5")).settings.verify
    headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": signature}
    now = datetime.fromtimestamp(1531420618 + seconds, UTC)

    with nullcontext() if believed else pytest.raises(Unverified):
        verify.check(Received(headers=headers, raw=DOCUMENTED, now=now, query={}))


def test_what_people_click_comes_as_a_form() -> None:
    payload = {"type": "block_actions", "trigger_id": "1.2", "actions": [{"value": "größer"}]}
    raw = urlencode({"payload": json.dumps(payload, ensure_ascii=False)}).encode()
    made = sent("slack", raw, **{"Content-Type": "application/x-www-form-urlencoded"})

    assert (made.type, made.data) == ("slack.block_actions", payload)
