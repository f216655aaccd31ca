"""What the tests of faults share."""

from collections.abc import AsyncIterator

import pytest

from tests.target_answer import Answer
from tests.target_server import TargetServer


@pytest.fixture
async def target() -> AsyncIterator[TargetServer]:
    """Answers after a moment, so that there is always something in progress."""
    async with TargetServer(Answer(delay=0.05)) as server:
        yield server
