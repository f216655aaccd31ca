"""Cancelling and retrying one run, or all that options select."""

from typing import Any

import orjson
import pytest

from tests.cli.conftest import Run
from tests.cli.stub import Stub

DONE: dict[str, Any] = {
    "matched": 2,
    "done": 2,
    "remaining": 0,
    "ids": ["0199-a", "0199-b"],
    "run_ids": [],
    "refused": [],
    "dry_run": False,
    "next": None,
}


def test_all_that_options_select(gateway: Run, stub: Stub) -> None:
    stub.answers = [(202, DONE)]
    cancelled = gateway("runs", "cancel", "--target", "sync", "--since", "2h", "--reason", "a storm")
    retried = gateway("runs", "retry", "--state", "failed", "--max", "2", "--cursor", "0199-x", "--reason", "mended")

    assert (cancelled.stdout, retried.stdout) == ("2 runs are cancelled.\n", "2 runs are retried.\n")
    assert [asked.path for asked in stub.asked] == ["/api/v1/runs/cancel", "/api/v1/runs/retry"]
    assert orjson.loads(stub.asked[0].body) == {"target": "sync", "since": "2h", "reason": "a storm"}
    assert orjson.loads(stub.asked[1].body) == {"state": "failed", "max": 2, "cursor": "0199-x"}
    assert stub.asked[1].headers["x-reason"] == "mended"


def test_one_is_one(gateway: Run, stub: Stub) -> None:
    stub.answers = [(202, DONE | {"done": 1}), (200, DONE | {"dry_run": True, "ids": ["0199-a"]})]

    assert gateway("runs", "cancel", "--key", "k").stdout == "1 run is cancelled.\n"
    assert "1 run would be cancelled." in gateway("runs", "cancel", "--key", "k", "--dry-run").stderr


def test_what_remains_and_what_was_refused_is_said(gateway: Run, stub: Stub) -> None:
    refused = [{"id": "0199-c", "reason": "the run has succeeded already\x1b"}]
    stub.answers = [(202, DONE | {"remaining": 40, "next": "0199-b", "refused": refused})]
    result = gateway("runs", "cancel", "--key", "k")

    assert "40 more: go on with --cursor 0199-b" in result.stderr
    assert r"0199-c is not: the run has succeeded already\x1b" in result.stderr


def test_a_dry_run_names_them(gateway: Run, stub: Stub) -> None:
    stub.answers = [(200, DONE | {"dry_run": True})]
    result = gateway("runs", "retry", "--trigger", "t", "--dry-run")

    assert result.stdout == "0199-a\n0199-b\n"
    assert orjson.loads(stub.asked[0].body) == {"trigger": "t", "dry_run": True}
    assert orjson.loads(gateway("runs", "retry", "--trigger", "t", "--dry-run", "--json").stdout)["matched"] == 2


@pytest.mark.parametrize(
    "arguments", [[], ["--dry-run"], ["--max", "7"], ["0199-a", "--target", "sync"], ["--state", "x"], ["--max", "0"]]
)
@pytest.mark.parametrize("command", ["cancel", "retry"])
def test_everything_is_never_meant_by_mistake(gateway: Run, stub: Stub, command: str, arguments: list[str]) -> None:
    assert gateway("runs", command, *arguments).exit_code == 2
    assert stub.asked == []


@pytest.mark.parametrize("reason", ["", " ", "a\nb", "a\x1b[2J", "\ud800"])
def test_s_a_reason_is_a_line(gateway: Run, stub: Stub, reason: str) -> None:
    assert gateway("runs", "retry", "0199-a", "--reason", reason).exit_code == 2
    assert stub.asked == []


def test_a_reason_in_any_language(gateway: Run, stub: Stub) -> None:
    stub.answers = [(202, {"id": "0199-a", "state": "queued"})]
    gateway("runs", "retry", "0199-a", "--reason", "größer \N{SNOWMAN}")

    assert stub.asked[0].headers["x-reason"].encode("latin-1").decode() == "größer \N{SNOWMAN}"
