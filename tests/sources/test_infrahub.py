"""Infrahub, whose signatures deviate from the standard that they follow."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.core.errors import Unmappable, Unverified
from gateway.core.event import Event
from tests.sources.senders import NOW, body, captured, configured, event, incoming, preset, sent, source

SENT_AT = datetime.fromtimestamp(1795254564, UTC)
CREATED = json.loads(body("infrahub-node-created-ascii"))
ZURICH = {**CREATED, "data": {**CREATED["data"], "kind": "Zürich \U0001f3d4"}}


def as_infrahub_sends(payload: Any, message_id: str = "msg_1", key: bytes = b"s3cr3t") -> tuple[bytes, dict[str, str]]:
    """What its client does: it signs one serialisation, and sends another."""
    stamp = str(int(NOW.timestamp()))
    signed = f"{message_id}.{stamp}." + json.dumps(payload, separators=(",", ":"))
    signature = base64.b64encode(hmac.digest(key, signed.encode(), "sha256")).decode()
    raw = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
    return raw, {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}


def received(payload: Any, message_id: str = "msg_1") -> Event:
    return event(configured("infrahub").to_events(incoming(*as_infrahub_sends(payload, message_id)), NOW))


def test_as_captured() -> None:
    webhook = source("infrahub", **preset("infrahub", secret="supersecret"))
    made = event(webhook.to_events(incoming(*captured("infrahub-node-created-ascii")), SENT_AT))

    assert (made.type, made.subject) == ("infrahub.node.created", "atl1-edge1")
    assert made.sender_id == "e3a584ae-ecce-4848-9315-f36946de7274"
    assert made.time == datetime(2026, 11, 21, 9, 40, 47, 560100, UTC)
    assert made.changed == ("name", "description")
    assert made.object["kind"] == "InfraDevice"
    assert made.headers == {"content-type": "application/json", "user-agent": "python-httpx/0.28.1"}


def test_s01_the_body_is_signed_escaped_and_sent_as_it_is() -> None:
    made = received(ZURICH)

    assert made.object["kind"] == "Zürich \U0001f3d4"
    assert made.body == as_infrahub_sends(ZURICH)[0]


def test_each_attempt_has_another_webhook_id_and_is_the_same_delivery() -> None:
    first, second = received(CREATED, "msg_1"), received(CREATED, "msg_2")

    assert first.delivery is not None
    assert first.delivery == second.delivery


@pytest.mark.parametrize("payload", [CREATED, ZURICH], ids=["ascii", "others"])
def test_s01_what_was_changed_on_the_way_is_refused(payload: dict[str, Any]) -> None:
    raw, headers = as_infrahub_sends(payload)
    strangers = as_infrahub_sends(payload, key=b"stranger")[1]
    for changed, with_headers in (
        (raw.replace(b"created", b"deleted"), headers),
        (raw.replace(b"created", "crëated".encode()), headers),
        (raw, strangers),
        (raw, headers | {"webhook-id": "msg_2"}),
        (b"\xff" + raw, headers),
        (b'"\xc3\xbc', headers),
        (b"\xc3\xbc" * 1000, headers),
        (('{"ü":' * 200 + "1" + "}" * 200).encode(), headers),
    ):
        with pytest.raises(Unverified):
            configured("infrahub").to_events(incoming(changed, with_headers), NOW)


def test_s01_what_is_old_is_refused() -> None:
    for late in (timedelta(seconds=301), timedelta(seconds=-301)):
        with pytest.raises(Unverified, match="from now"):
            configured("infrahub").to_events(incoming(*as_infrahub_sends(ZURICH)), NOW + late)


@pytest.mark.parametrize(
    ("more", "kind", "subject", "changed"),
    [
        (
            {"event": "infrahub.node.deleted", "data": {"changelog": {"display_label": "sw1"}}},
            "node.deleted",
            "sw1",
            (),
        ),
        ({"event": "infrahub.branch.merged", "data": {"branch_name": "b1"}}, "branch.merged", "b1", ()),
        ({"event": "infrahub.branch.rebased", "data": {}, "branch": "b2"}, "branch.rebased", "b2", ()),
        ({"event": "infrahub.account.logged_in", "data": {}, "branch": None}, "account.logged_in", None, ()),
    ],
)
def test_other_events(more: dict[str, Any], kind: str, subject: str | None, changed: tuple[str, ...]) -> None:
    made = received(CREATED | more)

    assert (made.type, made.subject, made.changed) == (f"infrahub.{kind}", subject, changed)


def test_what_a_transformation_made_says_what_is_missing() -> None:
    with pytest.raises(Unmappable, match=r"event\.id: body\.id"):
        received({"text": "a device was created"})


def test_it_is_imitated() -> None:
    assert sent("infrahub", as_infrahub_sends(ZURICH)[0]).type == "infrahub.node.created"
