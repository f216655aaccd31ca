"""`gateway explain --since` says what a configuration would have decided otherwise about recorded events."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.cli.conftest import Run
from tests.cli.stub import Stub

NEW = """
sources:
  alarms: {kind: webhook, verify: {scheme: none}}
targets:
  sync: {kind: http, url: "http://127.0.0.1:9/"}
triggers:
  high: {on: alarms, target: sync, when: "event.data.severity == 'high'", once: {}}
  after: {on: {run: high}, target: sync}
  high-ends: {on: {run: sync}, target: sync, mode: shadow}
"""
RUN = {"id": "r1", "target": "sync", "key": "high"}


@pytest.fixture
def new(tmp_path: Path) -> Path:
    path = tmp_path / "new.yaml"
    path.write_text(NEW)
    return path


def event(number: int, severity: str, *decisions: dict[str, Any], **parts: Any) -> dict[str, Any]:
    plain = {
        "id": f"e{number}",
        "source": "alarms",
        "type": "webhook",
        "subject": None,
        "sender_id": None,
        "time": "2027-01-15T22:00:00Z",
        "received_at": f"2027-01-15T22:00:0{number}Z",
        "data": {"severity": severity},
        "object": None,
        "changed": [],
        "headers": {},
        "decisions": list(decisions),
    }
    return plain | parts


def decision(verb: str, run_id: str | None = None, trigger: str | None = "high") -> dict[str, Any]:
    return {"trigger": trigger, "decision": verb, "reason": None, "run_id": run_id}


def page(*items: dict[str, Any], following: str | None = None) -> tuple[int, Any]:
    return 200, {"items": items, "next": following}


def difference(gateway: Run, stub: Stub, *events: dict[str, Any]) -> tuple[int, Any]:
    stub.answers = [page(RUN), page(*events)]
    result = gateway("explain", "--since", "7d", "-c", "new.yaml", "--json")
    return result.exit_code, orjson.loads(result.stdout)


def test_what_is_decided_as_before_is_no_difference(gateway: Run, stub: Stub, new: Path) -> None:
    events = [event(1, "high", decision("enqueued", "r1")), event(2, "low", decision("filtered"))]

    assert difference(gateway, stub, *events) == (0, {"events": 2, "changes": [], "targets": []})


def test_what_is_decided_otherwise_is_told_with_the_runs_it_costs(gateway: Run, stub: Stub, new: Path) -> None:
    events = [event(1, "low", decision("enqueued", "r1")), event(2, "high", decision("filtered")), event(3, "high")]

    code, told = difference(gateway, stub, *events)

    assert code == 1
    assert told["events"] == 3
    assert told["changes"] == [
        {"trigger": "high", "before": "requested", "after": "filtered", "events": 1, "example": "e1"},
        {"trigger": "high", "before": "filtered", "after": "requested", "events": 1, "example": "e2"},
        {"trigger": "high", "before": "none", "after": "requested", "events": 1, "example": "e3"},
    ]
    assert told["targets"] == [{"target": "sync", "runs_before": 1, "runs_after": 2}]


def test_all_pages_are_asked_for_and_nothing_else(gateway: Run, stub: Stub, new: Path) -> None:
    stub.answers = [page(RUN), page(event(2, "low", decision("filtered")), following="e2"), page(event(1, "high"))]

    result = gateway("explain", "--since", "7d", "-c", "new.yaml")

    assert [(asked.method, asked.path) for asked in stub.asked] == [
        ("GET", "/api/v1/runs?since=7d&limit=200"),
        ("GET", "/api/v1/events?since=7d&limit=200"),
        ("GET", "/api/v1/events?since=7d&limit=200&cursor=e2"),
    ]
    assert result.exit_code == 1
    assert "2 events planned; some decisions differ." in result.stdout
    assert "high\tnone\trequested\t1\te1" in result.stdout
    assert "sync\t0\t1" in result.stdout


def test_ends_of_runs_do_not_come_back_to_the_trigger_that_made_them(gateway: Run, stub: Stub, new: Path) -> None:
    data = {"run": {"id": "r1", "trigger": "after"}, "trigger": "after", "target": "sync", "schedule": None}
    ended = event(
        1, "", decision("filtered", trigger="after"), source="gateway", type="gateway.run.succeeded", data=data
    )

    _, told = difference(gateway, stub, ended)

    assert [(one["trigger"], one["after"]) for one in told["changes"]] == [("high-ends", "shadow")]


def test_what_was_rejected_is_not_planned(gateway: Run, stub: Stub, new: Path) -> None:
    rejected = event(1, "high", decision("error", trigger=None), type="gateway.rejected")

    assert difference(gateway, stub, rejected) == (0, {"events": 0, "changes": [], "targets": []})


@pytest.mark.parametrize(
    "arguments", [["--since", "7d", "an-id"], ["--since", "7d", "--source", "alarms"], ["--since", "7d", "-c", "gone"]]
)
def test_a_wrong_question_is_a_usage_error(gateway: Run, stub: Stub, new: Path, arguments: list[str]) -> None:
    assert gateway("explain", *arguments).exit_code == 2
    assert stub.asked == []


def test_what_the_gateway_refuses_is_said(gateway: Run, stub: Stub, new: Path) -> None:
    stub.answers = [(422, {"title": "Invalid", "detail": "since"})]

    assert gateway("explain", "--since", "yesterday", "-c", "new.yaml").exit_code == 2
