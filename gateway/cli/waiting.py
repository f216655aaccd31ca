"""Waiting for the end of a run."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from gateway.cli.client import Client
from gateway.cli.failure import Exit, Failure, Unreachable
from gateway.cli.following import follow
from gateway.cli.stream import Event
from gateway.core.printable import one_line
from gateway.core.run import FINAL, State

Run = Mapping[str, Any]


def until_final(client: Client, run: Run, timeout: timedelta, show: Callable[[Event], None]) -> Run:
    """The run once it is over, or the one that took over its events, as far as its end tells. `show` sees its log.

    Raises `Failure` when the time is over.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    while (next_id := _to_follow(run)) is not None:
        end = follow(client, next_id, show, lambda: deadline - time.monotonic())
        if end is None:
            raise Failure(_still(_as_it_is(client, run, next_id)), Exit.TIMED_OUT)
        run = {**run, "waiting_for": None, **end}
    return run


def _to_follow(run: Run) -> str | None:
    if run["state"] == State.SUPERSEDED:
        successor: str | None = run.get("superseded_by")
        return successor
    return None if run["state"] in FINAL else run["id"]


def _as_it_is(client: Client, run: Run, run_id: str) -> Run:
    try:
        found: Run = client.get("runs", run_id)
    except Unreachable:
        return run
    return found


def _still(run: Run) -> str:
    why = f", waiting for {one_line(str(run['waiting_for']))}" if run.get("waiting_for") else ""
    return f"Run {one_line(run['id'])} is still {one_line(run['state'])}{why}; it goes on."
