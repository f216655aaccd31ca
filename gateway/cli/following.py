"""Following the log of a run to its end, from whichever node answers."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from gateway.cli.client import TIMEOUT, Client
from gateway.cli.failure import Unreachable
from gateway.cli.stream import Event

AGAIN_AFTER = 1.0
SHORTEST = 0.01


def follow(
    client: Client, run_id: str, show: Callable[[Event], None], remaining: Callable[[], float]
) -> Mapping[str, Any] | None:
    """How the run ended, after all that its log says; `None` when there are no seconds `remaining` before that.

    A gateway that is away is asked again, from where it was. Raises `Failure` where it refuses, or is away to the last.
    """
    last_id: str | None = None
    away: Unreachable | None = None
    while remaining() > 0:
        try:
            for event in client.follow("runs", run_id, "log", last_id=last_id, patience=lambda: _patience(remaining())):
                away = None
                if event and event.name == "end":
                    return event.json
                if event:
                    show(event)
                    last_id = event.id or last_id
                if remaining() <= 0:
                    break
        except Unreachable as failure:
            away = failure
        time.sleep(min(AGAIN_AFTER, max(remaining(), 0)))
    if away:
        raise away
    return None


def _patience(remaining: float) -> float:
    return min(TIMEOUT, max(remaining, SHORTEST))
