"""A gateway for the tests that need nothing special."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.edges import OPEN, Gateway, running

TARGET = {"kind": "http", "url": "http://127.0.0.1:9/"}
SETTINGS: dict[str, Any] = {
    "sources": {"alarms": OPEN | {"event": {"id": "{{ body.uid | default('') }}"}}},
    "targets": {"sync": TARGET, "other": TARGET},
    "triggers": {"on-alarm": {"on": "alarms", "target": "sync", "when": "event.data.severity == 'high'"}},
}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """Without tokens, with one source, one trigger and two targets that are never called."""
    async with running(tmp_path, SETTINGS) as one:
        yield one
