"""Runs as they go on: the commands that wait for them and show what they say."""

from typing import Any

import orjson
import pytest

from gateway.cli.progress import in_words
from tests.cli.conftest import Run
from tests.cli.stub import Stub

RUN = {"id": "0199-r", "state": "queued", "target": "sync", "waiting_for": "a free slot of the target"}
ATTEMPT = {"number": 1, "node": "a:1", "started_at": "22:00"} | dict.fromkeys(
    ("finished_at", "outcome", "status", "reason")
)
LOG = "/api/v1/runs/0199-r/log?follow=1"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cli.following.AGAIN_AFTER", 0.01)


def event(name: str, data: Any, place: str | None = None) -> str:
    """One of a stream."""
    text = data if isinstance(data, str) else orjson.dumps(data).decode()
    lines = [f"event: {name}", *([f"id: {place}"] if place else []), *(f"data: {line}" for line in text.split("\n"))]
    return "\n".join([*lines, "", ""])


def end(state: str = "succeeded", **changes: Any) -> str:
    return event("end", {"id": "0199-r", "state": state, "reason": None, "superseded_by": None} | changes, "end")


BEGINNING = (
    "retry: 1000\n\n"
    + event("run", {"state": "running", "progress": {"current": 3, "total": 10, "percent": None}})
    + event("attempt", ATTEMPT, "1.0")
    + event("log", "one\n\n\x1b[2J\ttwo", "1.3")
    + ":\n\n"
)
FAILED = event("outcome", ATTEMPT | {"outcome": "failed", "status": 503, "reason": "no"}, "2.0")
SHOWN = [
    "-- 30 % (3 of 10)",
    "== attempt 1 on a:1 from 22:00",
    "one",
    "",
    "\\x1b[2J\ttwo",
    "== attempt 1: failed, status 503: no",
]


@pytest.mark.parametrize(("state", "exit_code"), [("succeeded", 0), ("failed", 1), ("cancelled", 1)])
def test_run_waits_for_the_end_and_shows_what_is_said(gateway: Run, stub: Stub, state: str, exit_code: int) -> None:
    stub.answers = [(202, RUN), (200, BEGINNING + FAILED + end(state, reason="so"))]
    result = gateway("run", "sync", "--wait")

    assert result.exit_code == exit_code
    assert result.stdout == f"Run 0199-r of sync: {state} (so)\n"
    assert result.stderr.splitlines() == SHOWN
    assert [asked.path for asked in stub.asked[1:]] == [LOG]


def test_json_is_the_run_as_it_is_at_the_end(gateway: Run, stub: Stub) -> None:
    final = {**RUN, "state": "succeeded", "output": {"id": 7}}
    stub.answers = [(202, RUN), (200, BEGINNING + end()), (200, final)]

    assert orjson.loads(gateway("run", "sync", "--wait", "--json").stdout) == final


def test_run_follows_the_run_that_took_over(gateway: Run, stub: Stub) -> None:
    superseded = end("superseded", superseded_by="0199-s")
    stub.answers = [(202, RUN), (200, superseded), (200, end(id="0199-s"))]
    result = gateway("run", "sync", "--wait")

    assert result.exit_code == 0
    assert result.stdout == "Run 0199-s of sync: succeeded\n"
    assert stub.asked[2].path == "/api/v1/runs/0199-s/log?follow=1"


def test_a_lost_stream_goes_on_where_it_was(gateway: Run, stub: Stub) -> None:
    """Though the gateway is away for a while."""
    stub.answers = [(202, RUN), (200, BEGINNING), (503, {"title": "Unavailable"}), (200, FAILED + end())]
    result = gateway("run", "sync", "--wait")

    assert result.exit_code == 0
    assert result.stderr.splitlines() == SHOWN
    assert [asked.headers.get("last-event-id") for asked in stub.asked[1:]] == [None, "1.3", "1.3"]


def test_waiting_for_no_time_at_all_is_over_at_once(gateway: Run, stub: Stub) -> None:
    stub.answers = [(202, RUN), (200, RUN)]
    result = gateway("run", "sync", "--wait", "--timeout", "0s")

    assert result.exit_code == 3
    assert "still queued, waiting for a free slot of the target; it goes on." in result.stderr


def test_run_does_not_outlast_a_broken_gateway(gateway: Run, stub: Stub) -> None:
    stub.answers = [(202, RUN), (500, {"title": "Internal server error"})]

    assert gateway("run", "sync", "--wait").exit_code == 4


@pytest.mark.parametrize(
    ("answers", "exit_code"),
    [([(200, BEGINNING)], 3), ([(503, {"title": "Unavailable"})], 4)],
)
def test_run_stops_waiting(gateway: Run, stub: Stub, answers: list[Any], exit_code: int) -> None:
    stub.answers = [(202, RUN), *answers]
    result = gateway("run", "sync", "--wait", "--timeout", "200ms")

    assert result.exit_code == exit_code


def test_the_log_of_a_run_is_printed_as_it_is(gateway: Run, stub: Stub) -> None:
    stub.answers = [(200, b"== attempt 1\none\ttwo\x1b[2J\n")]
    stub.headers = {"Content-Type": "text/plain; charset=utf-8"}
    result = gateway("runs", "log", "0199/../r")

    assert result.stdout == "== attempt 1\none\ttwo\\x1b[2J\n"
    assert stub.asked[0].path == "/api/v1/runs/0199%2F..%2Fr/log"


def test_the_log_of_a_run_is_followed(gateway: Run, stub: Stub) -> None:
    stub.answers = [(200, RUN), (200, BEGINNING), (200, FAILED + end("failed"))]
    result = gateway("runs", "log", "-f", "0199-r")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == SHOWN


@pytest.mark.parametrize("arguments", [["log", "r"], ["log", "-f", "r"]])
def test_an_unknown_run_is_a_usage_error(gateway: Run, stub: Stub, arguments: list[str]) -> None:
    stub.answers = [(404, {"title": "Not found"})]

    assert gateway("runs", *arguments).exit_code == 2


@pytest.mark.parametrize("answer", [(200, b"<html>"), (200, {"items": []}), (204, b"")])
def test_what_is_no_log_is_named(gateway: Run, stub: Stub, answer: tuple[int, Any]) -> None:
    stub.answers = [answer]
    result = gateway("runs", "log", "r")

    assert result.exit_code == 4
    assert "Is GATEWAY_URL right?" in result.stderr


def test_a_run_is_shown_with_its_progress_and_the_ends_of_its_logs(gateway: Run, stub: Stub) -> None:
    logs = ["\n".join(map(str, range(30))), "", "one\ntwo\x1b[2J"]
    attempts = [{"number": number, "outcome": "failed", "log": log} for number, log in enumerate(logs, 1)]
    stub.answers = [(200, {**RUN, "progress": {"percent": 12.4}, "attempts": attempts})]
    result = gateway("runs", "show", "r")

    assert "progress     12 %\n" in result.stdout
    assert "Log of attempt 1, its last 20 lines:\n  10\n" in result.stdout
    assert "Log of attempt 2" not in result.stdout
    assert result.stdout.endswith("Log of attempt 3:\n  one\n  two\\x1b[2J\n")


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (None, None),
        ({}, None),
        ({"percent": 140}, "100 %"),
        ({"current": 3}, "3"),
        ({"current": 1234567, "total": 0}, "1,234,567 of 0"),
        ({"current": 1.5, "total": 3}, "50 % (1.5 of 3)"),
        ({"percent": "many"}, None),
    ],
)
def test_progress_in_words(progress: dict[str, Any] | None, words: str | None) -> None:
    assert in_words(progress) == words
