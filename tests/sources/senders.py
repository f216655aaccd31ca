"""Requests as senders make them, and sources to receive them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy

from gateway.config import presets
from gateway.config.library import bundled
from gateway.config.problem import Place, Problem
from gateway.config.tree import Mapping, plain, plant
from gateway.core.event import Event
from gateway.sources.imitate import imitate
from gateway.sources.webhook import Answer, Arrival, Incoming, Settings, WebhookSource

NOW = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
PAYLOADS = Path(__file__).parents[1] / "payloads"


def incoming(
    raw: bytes, headers: dict[str, str] | None = None, query: dict[str, str] | None = None, method: str = "POST"
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


def events(received: Arrival | Answer) -> tuple[Event | None, ...]:
    """The events that must be there, `None` for those that are ignored."""
    assert isinstance(received, Arrival)
    return received.events


def event(received: Arrival | Answer) -> Event:
    """The one event that must be there."""
    (made,) = events(received)
    assert made is not None
    return made


def preset(name: str, **given: Any) -> dict[str, Any]:
    """The settings of a preset, with its parameters filled in."""
    problems: list[Problem] = []
    tree = plant({"sources": {"s": {"preset": name, **given}}}, Place("test"))
    written: dict[str, Any] = plain(presets.write_out(cast("Mapping", tree), bundled(), problems))
    assert not problems
    settings: dict[str, Any] = written["sources"]["s"]
    return settings


def configured(name: str, **settings: Any) -> WebhookSource:
    """A source with a preset."""
    return source(name, **preset(name, secret="s3cr3t") | settings)


def sent(name: str, raw: bytes, **headers: str) -> Event:
    """The event of a body that is sent as the sender of a preset does."""
    webhook = configured(name)
    sample = (bundled().load("sources", name).sample or {})["headers"] | headers
    return event(webhook.to_events(incoming(raw, imitate(webhook.settings, sample, raw, NOW)), NOW))


def captured(name: str) -> tuple[bytes, dict[str, str]]:
    """A body as it came over the wire, and its headers."""
    _, *lines = (PAYLOADS / f"{name}.headers.txt").read_text().splitlines()
    return body(name), dict(line.split(": ", 1) for line in lines)


def body(name: str) -> bytes:
    """A body as it came over the wire."""
    return (PAYLOADS / f"{name}.json").read_bytes()
