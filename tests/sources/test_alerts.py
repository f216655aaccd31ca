"""Senders of alerts, none of whom sends an id: Alertmanager, Proxmox and InfraAudit."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.core.errors import Unmappable, Unverified
from gateway.core.event import Event
from gateway.sources.imitate import imitate
from tests.sources.senders import NOW, body, configured, event, incoming, preset, sent, source

FIRING = json.loads(body("alertmanager-v4-firing"))
ALERT = FIRING["alerts"][0]
NOTIFICATION = json.loads(body("proxmox-template-rendered"))
DRIFT = {"event": "drift.detected", "timestamp": "2027-01-15T11:59:58Z", "data": {"name": "web-1", "severity": "high"}}


def of(name: str, body: Any) -> Event:
    return sent(name, json.dumps(body).encode())


class TestAlertmanager:
    def test_as_captured(self) -> None:
        made = sent("alertmanager", body("alertmanager-v4-firing"))

        assert (made.type, made.subject, made.changed) == ("alertmanager.firing", "ProbeFailure", ())
        assert made.object == {"alertname": "ProbeFailure", "severity": "critical"}
        assert made.data == FIRING

    def test_what_says_the_same_of_the_same_alerts_is_one_delivery_in_whatever_order(self) -> None:
        other = ALERT | {"fingerprint": "0", "startsAt": "2026-02-06T13:00:00Z"}
        one, another = (of("alertmanager", FIRING | {"alerts": alerts}) for alerts in ([ALERT, other], [other, ALERT]))

        assert one.delivery is not None
        assert one.delivery == another.delivery

    @pytest.mark.parametrize(
        "other",
        [
            {"status": "resolved"},
            {"groupKey": "{}"},
            {"alerts": []},
            {"alerts": [ALERT, ALERT]},
            {"alerts": [ALERT | {"status": "resolved"}]},
            {"alerts": [ALERT | {"startsAt": "2026-02-06T13:09:00Z"}]},
            {"alerts": [ALERT | {"fingerprint": "2"}]},
        ],
        ids=repr,
    )
    def test_what_says_anything_else_is_another_delivery(self, other: dict[str, Any]) -> None:
        assert of("alertmanager", FIRING).delivery != of("alertmanager", FIRING | other).delivery

    def test_groups_without_a_common_name(self) -> None:
        assert of("alertmanager", FIRING | {"commonLabels": {}}).subject == FIRING["groupKey"]

    @pytest.mark.parametrize("alerts", [None, 1, "x", [1], [{}], [ALERT, ALERT | {"fingerprint": 3}]])
    def test_broken_alerts_are_refused(self, alerts: Any) -> None:
        with pytest.raises(Unmappable, match=r"event\.id"):
            of("alertmanager", FIRING | {"alerts": alerts})


class TestProxmox:
    def test_as_rendered(self) -> None:
        made = sent("proxmox", body("proxmox-template-rendered"))

        assert (made.type, made.subject) == ("proxmox.info", "vzdump backup status (pve1): backup successful")
        assert made.time == datetime(2026, 11, 21, 9, 19, 16, tzinfo=UTC)
        assert made.object == {"type": "vzdump", "hostname": "pve1", "job-id": "backup-1234"}

    def test_the_same_body_is_the_same_delivery(self) -> None:
        first, second = of("proxmox", NOTIFICATION), of("proxmox", NOTIFICATION)

        assert first.delivery is not None
        assert first.delivery == second.delivery
        assert first.delivery != of("proxmox", NOTIFICATION | {"timestamp": 1795252757}).delivery

    def test_a_template_may_leave_out_time_and_fields(self) -> None:
        made = of("proxmox", {"title": "Größe", "severity": "unknown"})

        assert (made.type, made.object, made.time) == ("proxmox.unknown", None, NOW)


@pytest.mark.parametrize("name", ["alertmanager", "proxmox"])
@pytest.mark.parametrize("value", [None, "", "Bearer", "Bearer ", "s3cr3t", "Basic s3cr3t", "Bearer s3cr3t "])
def test_s01_only_the_bearer_of_the_token_is_believed(name: str, value: str | None) -> None:
    with pytest.raises(Unverified):
        configured(name).to_events(incoming(b"{}", {} if value is None else {"Authorization": value}), NOW)


class TestInfraAudit:
    def test_as_its_source_sends(self) -> None:
        made = of("infraaudit", DRIFT)

        assert (made.type, made.subject, made.object) == ("infraaudit.drift.detected", "web-1", DRIFT["data"])
        assert made.time == datetime(2027, 1, 15, 11, 59, 58, tzinfo=UTC)
        assert made.delivery == of("infraaudit", DRIFT).delivery
        assert made.delivery != of("infraaudit", DRIFT | {"timestamp": "2027-01-15T11:59:59Z"}).delivery

    def test_as_its_documentation_says(self) -> None:
        webhook = source(**preset("infraaudit", secret="s3cr3t", header="X-InfraAudit-Signature"))
        raw = json.dumps(DRIFT | {"delivery_id": "d-1"}).encode()
        headers = imitate(webhook.settings, {}, raw, NOW)

        assert list(headers) == ["X-InfraAudit-Signature"]
        assert event(webhook.to_events(incoming(raw, headers), NOW)).sender_id == "d-1"
