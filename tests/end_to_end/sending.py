"""What the tests of the promises share: events, sent all at once, and what a test of a test expects.

Each promise has a defect that breaks it: a test that lets it pass tests nothing. P1 is in tests/faults/test_kill.py.
"""

import asyncio
from typing import Any

import pytest

from tests.gateway_client import GatewayClient, Reply


def caught() -> Any:
    """A defect that breaks the promise makes the very same test fail."""
    return pytest.raises((AssertionError, TimeoutError))


def sent(number: int) -> dict[str, Any]:
    return {"id": f"event-{number}", "type": "sent"}


async def send_all(events: list[dict[str, Any]], *clients: GatewayClient) -> list[Reply]:
    """All at once, to the nodes in turn."""
    turns = (clients[number % len(clients)] for number in range(len(events)))
    return await asyncio.gather(*(client.send(event) for client, event in zip(turns, events, strict=True)))
