"""Waiting for something to come about, instead of sleeping and hoping."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE = 0.05


async def until(look: Callable[[], Awaitable[T]], expected: T, what: str, *, seconds: float = 20) -> None:
    """Looks until it sees what is expected; fails if it does not in time, and says what there was instead."""
    deadline = time.monotonic() + seconds
    while (seen := await look()) != expected:
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: {seen!r} after {seconds} s, expected {expected!r}")
        await asyncio.sleep(PAUSE)
