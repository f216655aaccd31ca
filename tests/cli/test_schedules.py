"""`gateway schedules`, `gateway pause` and `gateway resume`."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.cli.conftest import Run
from tests.cli.stub import Stub

HOSTILE = "[bold]x[/]\x1b[2J\n\u202e"
NIGHTLY: dict[str, Any] = {
    "name": "nightly",
    "origin": "api",
    "cron": "0 1 * * *",
    "target": "sync",
    "enabled": True,
    "paused": None,
    "next_due": "2027-01-16T01:00:00Z",
    "ticks": 3,
}
RUN = {"id": "0199-r", "state": "queued", "target": "sync", "waiting_for": None}
INVALID = {
    "title": "Invalid",
    "detail": "the schedule is not as expected",
    "errors": [{"path": "cron", "message": f"is broken {HOSTILE}"}],
}


def asked(stub: Stub) -> list[tuple[str, str, Any]]:
    return [(one.method, one.path, orjson.loads(one.body) if one.body else None) for one in stub.asked]


def test_a_list_says_when_they_are_due(gateway: Run, stub: Stub) -> None:
    timing = {"cron": None, "continuous": True}
    paused = {**NIGHTLY, **timing, "name": "b", "paused": {"by": "x", "reason": HOSTILE, "until": None}}
    stub.answers = [(200, {"items": [NIGHTLY, paused], "next": "b"})]
    result = gateway("schedules", "list", "--limit", "7")

    header, first, second = (line.split("\t") for line in result.stdout.splitlines())
    assert [dict(zip(header, line, strict=True))["timing"] for line in (first, second)] == ["0 1 * * *", "continuous"]
    assert [dict(zip(header, line, strict=True))["paused"] for line in (first, second)] == ["no", "yes"]
    assert "There is more" in result.stderr
    assert asked(stub) == [("GET", "/api/v1/schedules?limit=7", None)]


def test_a_schedule_is_shown_with_what_was_skipped(gateway: Run, stub: Stub) -> None:
    skipped = [{"from": "2027-01-01T00:00:00Z", "to": "2027-01-02T00:00:00Z", "count": 2, "reason": HOSTILE}]
    stub.answers = [(200, {**NIGHTLY, "skipped": skipped})]
    result = gateway("schedules", "show", "../nightly")

    assert asked(stub)[0][1] == "/api/v1/schedules/..%2Fnightly"
    assert "next_due  2027-01-16T01:00:00Z" in result.stdout
    assert result.stdout.splitlines()[-1].split("\t")[-1] == r"[bold]x[/]\x1b[2J\n\u202e"


def test_what_is_to_come_says_what_is_left_out(gateway: Run, stub: Stub) -> None:
    item = {"schedule": "nightly", "at": "2027-01-16T01:00:00Z", "local": "2027-01-16T02:00:00+01:00", "note": HOSTILE}
    stub.answers = [(200, {"items": [item], "truncated": {"often": 1340}})]
    result = gateway("schedules", "upcoming", "--hours", "48")

    assert asked(stub) == [("GET", "/api/v1/schedules/upcoming?hours=48", None)]
    assert r"[bold]x[/]\x1b[2J\n\u202e" in result.stdout
    assert result.stderr == "often: 1340 more.\n"


@pytest.mark.parametrize(
    ("arguments", "stdin", "fields"),
    [
        (["--cron", "0 1 * * *", "--target", "sync"], None, {"cron": "0 1 * * *", "target": "sync"}),
        (["--interval", "5m", "--payload", '{"a": [1]}'], None, {"interval": "5m", "payload": {"a": [1]}}),
        (["--at", "2027-01-15T22:00:00", "--timezone", "UTC"], None, {"at": "2027-01-15T22:00:00", "timezone": "UTC"}),
        (["-"], b'{"calendar": {"days": 1, "time": 04:00}}', {"calendar": {"days": 1, "time": "04:00"}}),
        (["-", "--target", "b"], b"interval: 5m\ntarget: a", {"interval": "5m", "target": "b"}),
        (["-"], b"interval: ${EVERY:-7m}\npayload: no", {"interval": "7m", "payload": "no"}),
        ([], None, {}),
    ],
    ids=str,
)
def test_schedules_are_defined_by_options_and_files(
    gateway: Run, stub: Stub, arguments: list[str], stdin: bytes | None, fields: dict[str, Any]
) -> None:
    stub.answers = [(200, NIGHTLY)]

    assert gateway("schedules", "add", "nightly", *arguments, stdin=stdin).exit_code == 0
    assert gateway("schedules", "update", "nightly", *arguments, stdin=stdin).exit_code == 0
    assert asked(stub) == [
        ("POST", "/api/v1/schedules", {**fields, "name": "nightly"}),
        ("PUT", "/api/v1/schedules/nightly", fields),
    ]


@pytest.mark.parametrize(
    ("stdin", "message"),
    [
        (b"cron: [", "not YAML"),
        (b"[]", "holds no fields"),
        (b"", "holds no fields"),
        (b"cron: a\ncron: b", "2:1: cron: duplicate key"),
        (b"cron: ${NOTHING_OF_THAT_NAME}", "NOTHING_OF_THAT_NAME"),
        (b"cron: !!python/name:x y", "tags"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_s18_what_cannot_be_read_is_never_sent(gateway: Run, stub: Stub, stdin: bytes, message: str) -> None:
    result = gateway("schedules", "add", "nightly", "-", stdin=stdin)

    assert result.exit_code == 2
    assert message in result.stderr
    assert stub.asked == []


def test_what_the_gateway_refuses_is_said(gateway: Run, stub: Stub) -> None:
    stub.answers = [(422, INVALID)]
    result = gateway("schedules", "add", "nightly", "--cron", "x")

    assert result.exit_code == 2
    assert r"cron: is broken [bold]x[/]\x1b[2J\n\u202e" in result.stderr


def test_removing_says_so(gateway: Run, stub: Stub) -> None:
    stub.answers = [(204, b"")]
    result = gateway("schedules", "remove", "nightly")

    assert (result.exit_code, result.stdout) == (0, "The schedule nightly is removed.\n")
    assert asked(stub) == [("DELETE", "/api/v1/schedules/nightly", None)]


@pytest.mark.parametrize(("state", "code"), [("succeeded", 0), ("failed", 1), ("cancelled", 1)])
def test_forcing_ends_as_its_run(gateway: Run, stub: Stub, state: str, code: int) -> None:
    end = orjson.dumps({**RUN, "state": state}).decode()
    stub.answers = [(202, RUN), (200, f"event: end\ndata: {end}\n\n")]
    result = gateway("schedules", "run", "nightly", "--wait")

    assert result.exit_code == code
    assert [one[:2] for one in asked(stub)] == [
        ("POST", "/api/v1/schedules/nightly/run"),
        ("GET", "/api/v1/runs/0199-r/log?follow=1"),
    ]


def test_waiting_for_a_forced_run_has_an_end(gateway: Run, stub: Stub) -> None:
    stub.answers = [(202, RUN), (202, RUN), (200, ":\n\n")]

    assert gateway("schedules", "run", "nightly").exit_code == 0
    assert gateway("schedules", "run", "nightly", "--wait", "--timeout", "50ms").exit_code == 3


@pytest.mark.parametrize("kind", ["target", "trigger", "source", "schedule"])
def test_pause_and_resume(gateway: Run, stub: Stub, kind: str) -> None:
    stub.answers = [(200, {})]

    assert gateway("pause", kind, "x").stdout == f"The {kind} x is paused until it is resumed.\n"
    assert gateway("pause", kind, "x", "--for", "120m", "--reason", "y").stdout == f"The {kind} x is paused for 2h.\n"
    assert gateway("resume", kind, "x").stdout == f"The {kind} x goes on.\n"
    assert asked(stub) == [
        ("POST", f"/api/v1/{kind}s/x/pause", {}),
        ("POST", f"/api/v1/{kind}s/x/pause", {"for": "2h", "reason": "y"}),
        ("POST", f"/api/v1/{kind}s/x/resume", {}),
    ]


def test_pause_and_resume_everything(gateway: Run, stub: Stub) -> None:
    stub.answers = [(200, {})]

    assert gateway("pause", "everything", "--for", "5m").stdout == "Everything is paused for 5m.\n"
    assert gateway("resume", "everything").stdout == "Everything goes on.\n"
    assert asked(stub) == [("POST", "/api/v1/pause", {"for": "5m"}), ("POST", "/api/v1/resume", {})]


def test_pause_and_resume_a_key(gateway: Run, stub: Stub) -> None:
    stub.answers = [(200, {})]

    assert "\x1b" not in gateway("pause", "target", "x", "--key", HOSTILE).stdout
    assert gateway("resume", "trigger", "x", "--key", "a b").stdout == "The key a b of the trigger x goes on.\n"
    assert asked(stub) == [
        ("POST", "/api/v1/targets/x/pause", {"key": HOSTILE}),
        ("POST", "/api/v1/triggers/x/resume", {"key": "a b"}),
    ]


def test_a_pause_that_lasts_no_time_is_refused_by_the_gateway(gateway: Run, stub: Stub) -> None:
    stub.answers = [(422, {"title": "Invalid", "detail": "the body is not as expected"})]
    result = gateway("pause", "schedule", "x", "--for", "0s")

    assert asked(stub) == [("POST", "/api/v1/schedules/x/pause", {"for": "0s"})]
    assert (result.exit_code, result.stderr) == (2, "Error: Invalid: the body is not as expected\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["pause", "x", "y"],
        ["pause", "target"],
        ["pause", "everything", "x"],
        ["resume", "run", "x"],
        ["resume", "source"],
    ],
)
def test_pausing_what_there_is_none_of_is_a_usage_error(gateway: Run, stub: Stub, arguments: list[str]) -> None:
    assert gateway(*arguments).exit_code == 2
    assert stub.asked == []


SCHEDULES = """
schedules:
  new: {interval: 90m, target: sync}
  nightly: {cron: "0 1 * * *", target: sync}
  other: {cron: "0 2 * * *", target: sync, misfire: {grace: 60m}}
  mine: {cron: "0 3 * * *", target: sync}
sources: {"not looked at": "${NOTHING_OF_THAT_NAME}"}
"""


def results(stdout: str) -> dict[str, str]:
    return {line.split("\t")[0]: line.split("\t")[1] for line in stdout.splitlines()[1:]}


def test_an_import_tells_the_gateway_what_it_does_not_know(gateway: Run, stub: Stub) -> None:
    stored = [
        {**NIGHTLY, "cron": "0 1 * * *"},
        {**NIGHTLY, "name": "other", "cron": "0 2 * * *", "misfire": {"grace": "30m"}},
        {**NIGHTLY, "name": "mine", "origin": "file"},
        {**NIGHTLY, "name": "not-in-the-file"},
    ]
    pages = [{"items": stored[:2], "next": "other"}, {"items": stored[2:], "next": None}]
    stub.answers = [*((200, page) for page in pages), (200, {})]
    Path("s.yaml").write_text(SCHEDULES)
    result = gateway("schedules", "import", "s.yaml")

    assert result.exit_code == 0
    assert results(result.stdout) == {
        "new": "created",
        "nightly": "unchanged",
        "other": "updated",
        "mine": "skipped",
    }
    assert asked(stub)[2:] == [
        ("POST", "/api/v1/schedules", {"name": "new", "interval": "90m", "target": "sync"}),
        ("PUT", "/api/v1/schedules/other", {"cron": "0 2 * * *", "target": "sync", "misfire": {"grace": "60m"}}),
    ]


def test_what_is_written_differently_is_not_different(gateway: Run, stub: Stub) -> None:
    new = {**NIGHTLY, "name": "new", "interval": "1h30m"}
    del new["cron"]
    other = {**NIGHTLY, "name": "other", "cron": "0 2 * * *", "misfire": {"grace": "1h"}}
    mine = {**NIGHTLY, "name": "mine", "cron": "0 3 * * *"}
    stub.answers = [(200, {"items": [NIGHTLY, new, other, mine], "next": None})]
    Path("s.yaml").write_text(SCHEDULES)
    result = gateway("schedules", "import", "s.yaml")

    assert set(results(result.stdout).values()) == {"unchanged"}
    assert len(stub.asked) == 1


def test_one_that_is_refused_does_not_keep_the_others_out(gateway: Run, stub: Stub) -> None:
    stub.answers = [(200, {"items": [], "next": None}), (422, INVALID), (409, {"title": "Conflict"}), (201, {})]
    Path("s.yaml").write_text(
        "schedules: {a: {cron: x}, b: {cron: y}, c: {cron: '${NOTHING}'}, d: {interval: 5m}, e: 5, f: {name: a}}"
    )
    result = gateway("schedules", "import", "s.yaml", "--json")

    assert result.exit_code == 2
    told = {one["schedule"]: (one["result"], one["reason"]) for one in orjson.loads(result.stdout)}
    assert [told[name][0] for name in "abcdef"] == [*["refused"] * 3, "created", *["refused"] * 2]
    assert "is broken" in told["a"][1]
    assert "NOTHING" in told["c"][1]
    assert [one[2]["name"] for one in asked(stub)[1:]] == ["a", "b", "d"]


def test_an_import_says_why(gateway: Run, stub: Stub) -> None:
    stub.answers = [(200, {"items": [], "next": None}), (201, {})]
    Path("s.yaml").write_text(SCHEDULES)
    gateway("schedules", "import", "s.yaml", "--reason", "moved from cron")

    assert {one.headers["x-reason"] for one in stub.asked if one.method == "POST"} == {"moved from cron"}


@pytest.mark.parametrize(("status", "code"), [(401, 4), (403, 4), (503, 4)])
def test_an_import_that_cannot_go_on_ends(gateway: Run, stub: Stub, status: int, code: int) -> None:
    stub.answers = [(200, {"items": [], "next": None}), (status, {"title": "No"})]
    Path("s.yaml").write_text(SCHEDULES)

    assert gateway("schedules", "import", "s.yaml").exit_code == code
    assert len(stub.asked) == 2


@pytest.mark.parametrize(
    "text",
    ["", "[]", "schedules: []", "sources: {}", "schedules: {", "schedules: ${X}", "include: ../x\nschedules: {}"],
)
def test_files_without_schedules_are_usage_errors(gateway: Run, stub: Stub, text: str) -> None:
    Path("s.yaml").write_text(text)

    assert gateway("schedules", "import", "s.yaml").exit_code == 2
    assert gateway("schedules", "import", "nothing.yaml").exit_code == 2
    assert stub.asked == []
