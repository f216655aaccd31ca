"""Waiting for the end of a run."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from gateway.cli.client import Client
from gateway.cli.failure import Exit, Failure, Unreachable
from gateway.core.printable import one_line
from gateway.core.run import FINAL, State

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0

Run = Mapping[str, Any]


def until_final(client: Client, run: Run, timeout: timedelta, watch: Callable[[Run], None]) -> Run:
    """The run once it is over, or the one that took over its events. `watch` sees every look at it.

    A gateway that is away for a while is asked again. Raises `Failure` when the time is over.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    pause = FIRST_PAUSE
    away: Unreachable | None = None
    while (next_id := _to_look_at(run)) is not None:
        watch(run)
        if time.monotonic() + pause > deadline:
            raise away or Failure(_still(run), Exit.TIMED_OUT)
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
        try:
            run, away = client.get("runs", next_id), None
        except Unreachable as failure:
            away = failure
    return run


def _to_look_at(run: Run) -> str | None:
    if run["state"] == State.SUPERSEDED:
        successor: str | None = run.get("superseded_by")
        return successor
    return None if run["state"] in FINAL else run["id"]


def _still(run: Run) -> str:
    why = f", waiting for {one_line(str(run['waiting_for']))}" if run.get("waiting_for") else ""
    return f"Run {one_line(run['id'])} is still {one_line(run['state'])}{why}; it goes on."
