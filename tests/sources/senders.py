"""Requests as senders make them, and sources to receive them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy

from gateway.core.event import Event
from gateway.sources.webhook import Incoming, Settings, WebhookSource

NOW = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
PAYLOADS = Path(__file__).parents[1] / "payloads"
PRESETS = Path(__file__).parents[2] / "gateway" / "presets" / "sources"


def incoming(
    raw: bytes, headers: Mapping[str, str] | None = None, query: Mapping[str, str] | None = None, method: str = "POST"
) -> Incoming:
    """A request with the very mappings that the edge hands over."""
    return Incoming(
        method=method,
        headers=CIMultiDictProxy(CIMultiDict(headers or {})),
        query=MultiDictProxy(MultiDict(query or {})),
        raw=raw,
        remote="192.0.2.7",
    )


def source(name: str = "alarms", **settings: Any) -> WebhookSource:
    """A source that verifies nothing unless told to."""
    return WebhookSource(name, Settings.model_validate({"kind": "webhook", "verify": {"scheme": "none"}} | settings))


def event(received: Event | None) -> Event:
    """The event that must be there."""
    assert received is not None
    return received


def preset(name: str, secret: str) -> dict[str, Any]:
    """A preset with its one parameter filled in."""
    text = (PRESETS / f"{name}.yaml").read_text()
    loaded: dict[str, Any] = yaml.safe_load(text.replace('"$(secret)"', secret))
    return loaded


def captured(name: str) -> tuple[bytes, dict[str, str]]:
    """A body as it came over the wire, and its headers."""
    _, *lines = (PAYLOADS / f"{name}.headers.txt").read_text().splitlines()
    return (PAYLOADS / f"{name}.json").read_bytes(), dict(line.split(": ", 1) for line in lines)
