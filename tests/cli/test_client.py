"""The commands that talk to a gateway."""

import orjson
import pytest

from tests.cli.conftest import Run
from tests.cli.stub import Stub

RUN = {"id": "0199-r", "state": "queued", "target": "sync", "waiting_for": "a free slot of the target"}
HOSTILE = "[bold]x[/]\x1b[2J\n\u202e"


def test_a_list_is_lines_of_tabs_where_nobody_looks(gateway: Run, stub: Stub) -> None:
    stub.answers = [(200, {"items": [RUN | {"reason": HOSTILE, "key": None}], "next": "x"})]
    result = gateway("runs", "list", "--state", "failed", "--since", "2h", "--limit", "7")

    header, line = result.stdout.splitlines()
    assert header.split("\t")[:3] == ["id", "state", "target"]
    assert line.split("\t")[-1] == r"[bold]x[/]\x1b[2J\n\u202e"
    assert "There is more" in result.stderr
    assert stub.asked[0].path == "/api/v1/runs?state=failed&since=2h&limit=7"


def test_json_is_what_the_gateway_said_and_harmless(gateway: Run, stub: Stub) -> None:
    page = {"items": [RUN | {"reason": HOSTILE}], "next": None}
    stub.answers = [(200, page)]
    result = gateway("runs", "list", "--json")

    assert orjson.loads(result.stdout) == page
    assert [line for line in result.stdout.splitlines() if not line.isprintable()] == []


def test_a_run_is_shown_with_its_attempts_and_log(gateway: Run, stub: Stub) -> None:
    attempt = {"number": 1, "outcome": "failed", "status": 503, "log": "one\ntwo\x1b[2J"}
    stub.answers = [(200, {**RUN, "payload": {"a": HOSTILE}, "attempts": [attempt]})]
    result = gateway("runs", "show", "0199/../r")

    assert stub.asked[0].path == "/api/v1/runs/0199%2F..%2Fr"
    assert "waiting_for  a free slot" in result.stdout
    assert result.stdout.endswith("Log of attempt 1:\n  one\n  two\\x1b[2J\n")


def test_retry_and_cancel(gateway: Run, stub: Stub) -> None:
    stub.answers = [(202, RUN)]
    assert gateway("runs", "retry", "r").exit_code == 0
    assert gateway("runs", "cancel", "r", "--reason", "wrong site").exit_code == 0

    assert [(asked.method, asked.path) for asked in stub.asked] == [
        ("POST", "/api/v1/runs/r/retry"),
        ("POST", "/api/v1/runs/r/cancel"),
    ]
    assert orjson.loads(stub.asked[1].body) == {"reason": "wrong site"}


def test_events_are_shown_with_their_decisions(gateway: Run, stub: Stub) -> None:
    decisions = [{"trigger": "t", "decision": "merged"}, {"trigger": None, "decision": "enqueued"}]
    event = {"id": "0199-e", "source": "nightly", "decisions": decisions, "data": {}}
    stub.answers = [(200, {"items": [event], "next": None}), (200, event)]

    assert "t: merged, nightly: enqueued" in gateway("events", "list").stdout
    assert "t\tmerged" in gateway("events", "show", "0199-e").stdout


def test_an_event_that_repeats_another_says_so(gateway: Run, stub: Stub) -> None:
    stub.answers = [(200, {"id": "0199-f", "replay_of": "0199-e", "decisions": []})]

    assert "replay_of  0199-e\n" in gateway("events", "show", "0199-f").stdout


def test_events_are_replayed(gateway: Run, stub: Stub) -> None:
    decided = [{"trigger": "t", "decision": "enqueued", "run_id": "0199-r", "reason": None}]
    stub.answers = [(202, {"event_id": "0199-f", "duplicate": False, "decisions": decided})]
    told, as_json = gateway("events", "replay", "0199-e").stdout, gateway("events", "replay", "0199-e", "--json").stdout

    assert told.startswith("Accepted as event 0199-f.\n")
    assert "t\tenqueued\t0199-r" in told
    assert orjson.loads(as_json)["event_id"] == "0199-f"
    assert [(asked.method, asked.path) for asked in stub.asked] == [("POST", "/api/v1/events/0199-e/replay")] * 2


def test_status(gateway: Run, stub: Stub) -> None:
    node = {"name": "a:1", "version": "1", "config_hash": "0123456789abcdef", "labels": ["x", "y"], "started_at": "now"}
    target = {"name": "sync", "state": "ready", "running": 1, "waiting": 2}
    leader = {"node": "b:1", "epoch": 7}
    this = node | {"ignored": {"alarms": 3}}
    pause = {"kind": "trigger", "name": "every", "key": "", "by": "ops", "until": None, "reason": "maintenance"}
    said = {"weaknesses": ["fsync=off: \x1b[2J"], "pauses": [pause]}
    status = {"version": "1", "node": this, "leader": leader, "nodes": [node], "targets": [target], **said}
    stub.answers = [(200, status)]
    result = gateway("status")

    assert "leader   b:1\n" in result.stdout
    assert 'ignored  {"alarms":3}\n' in result.stdout
    assert "a:1\t1\t0123456789ab\tx, y\tnow" in result.stdout
    assert "sync\tready\t1\t2" in result.stdout
    assert "trigger\tevery\t\tops\t\tmaintenance" in result.stdout
    assert "fsync=off: \\x1b[2J" in result.stderr


def test_run_hands_over_payload_and_key(gateway: Run, stub: Stub) -> None:
    stub.answers = [(202, RUN)]
    result = gateway("run", "sync", "--payload", '{"a": 1}', "--key", "k")

    assert result.exit_code == 0
    assert result.stdout == "Run 0199-r of sync: queued (waiting for a free slot of the target)\n"
    assert orjson.loads(stub.asked[0].body) == {"payload": {"a": 1}, "key": "k"}


@pytest.mark.parametrize("arguments", [["--payload", "{"], ["--timeout", "10"], ["--timeout", "\x1b"]])
def test_what_cannot_be_read_is_a_usage_error(gateway: Run, arguments: list[str]) -> None:
    result = gateway("run", "sync", *arguments)

    assert result.exit_code == 2
    assert "\x1b" not in result.stderr


@pytest.mark.parametrize(
    ("status", "exit_code"), [(400, 2), (401, 4), (403, 4), (404, 2), (409, 2), (422, 2), (500, 4), (503, 4)]
)
def test_a_problem_is_told_with_its_fields(gateway: Run, stub: Stub, status: int, exit_code: int) -> None:
    stub.answers = [
        (status, {"title": "No", "detail": HOSTILE, "errors": [{"path": "key", "message": HOSTILE}, "odd"]})
    ]
    result = gateway("runs", "retry", "0199-r")

    assert result.exit_code == exit_code
    assert r"No: [bold]x[/]\x1b[2J\n\u202e" in result.stderr
    assert r"  key: [bold]x[/]\x1b[2J\n\u202e" in result.stderr


def test_the_token_is_sent_and_named_where_it_is_refused(
    gateway: Run, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.answers = [(401, {"title": "Not verified"})]
    assert "set GATEWAY_TOKEN" in gateway("status").stderr

    monkeypatch.setenv("GATEWAY_TOKEN", "a-long-token")
    assert "It is the one in GATEWAY_TOKEN" in gateway("status").stderr
    assert stub.asked[1].headers["authorization"] == "Bearer a-long-token"


@pytest.mark.parametrize("answer", [(200, b"<html>"), (200, []), (404, b"not here"), (302, b"")])
def test_something_else_than_a_gateway_is_named(gateway: Run, stub: Stub, answer: tuple[int, object]) -> None:
    stub.answers = [answer]
    stub.headers = {"Location": f"{stub.url}/elsewhere"}
    result = gateway("status")

    assert result.exit_code == 4
    assert "Is GATEWAY_URL right?" in result.stderr
    assert len(stub.asked) == 1


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "ftp://a/", "http://", "http://h:99999", "http://a\x1b/", "http://a b/", "http://u:p@h/"]
)
def test_an_address_that_is_none_is_a_usage_error(gateway: Run, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("GATEWAY_URL", url)
    result = gateway("status")

    assert result.exit_code == 2
    assert "GATEWAY_URL: expected" in result.stderr
    assert "\x1b" not in result.stderr


def test_a_token_that_no_header_can_hold_is_a_usage_error(gateway: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN", "a\nb")

    assert gateway("status").exit_code == 2


def test_without_a_gateway_it_says_how_to_start_one(gateway: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_URL", "http://127.0.0.1:9")
    result = gateway("status")

    assert result.exit_code == 4
    assert "No gateway answers at http://127.0.0.1:9: Connection refused." in result.stderr
    assert "gateway serve" in result.stderr
