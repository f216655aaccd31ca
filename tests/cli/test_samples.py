"""`gateway send` imitates the sender of every preset."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.cli.posting import SAMPLE_ID, Posting, prepare
from gateway.config import load
from gateway.config.library import bundled
from gateway.core.event import Event
from gateway.sources.webhook import Settings, WebhookSource
from tests.sources.senders import event, incoming

PARAMETERS = {"secret": "whsec_c2VjcmV0", "verify": "{scheme: token, name: X-Token, secret: s3cr3t}"}
TYPES = {
    "alertmanager": "alertmanager.firing",
    "cloudevents": "com.example.device.updated",
    "github": "github.push",
    "gitlab": "gitlab.push",
    "infraaudit": "infraaudit.drift.detected",
    "infrahub": "infrahub.node.updated",
    "netbox": "netbox.dcim.site.updated",
    "proxmox": "proxmox.error",
    "slack": "slack.app_mention",
    "standard-webhooks": "device.updated",
}


def sent(folder: Path, name: str, *, keep: bool = False) -> tuple[Posting, Event]:
    """What is posted, and the event that the source makes of it."""
    asked = [key for key, param in bundled().load("sources", name).params.items() if param.required]
    given = "".join(f", {key}: {PARAMETERS[key]}" for key in asked)
    (folder / "config.yaml").write_text(f"sources: {{s: {{preset: {name}{given}}}}}")
    loaded = load(folder / "config.yaml", {})
    settings = loaded.config.sources["s"]
    assert isinstance(settings, Settings)
    posting = prepare(loaded, "s", keep=keep)
    received = incoming(posting.body, dict(posting.headers))
    now = datetime.now(UTC)  # noqa: TID251 - as it was signed
    return posting, event(WebhookSource("s", settings).to_events(received, now))


@pytest.mark.parametrize("name", bundled().names("sources"))
def test_a_sample_is_believed_and_is_a_new_event_each_time(tmp_path: Path, name: str) -> None:
    posting, first = sent(tmp_path, name)
    _, second = sent(tmp_path, name)

    assert first.type == TYPES[name]
    assert first.delivery is not None
    assert first.delivery != second.delivery
    assert SAMPLE_ID.encode() not in posting.body


@pytest.mark.parametrize("name", bundled().names("sources"))
def test_a_kept_sample_is_the_same_event_each_time(tmp_path: Path, name: str) -> None:
    first, second = (sent(tmp_path, name, keep=True)[1] for _ in range(2))

    assert first.delivery == second.delivery
