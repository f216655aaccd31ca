"""The commands that show what happened: stats, audit, targets, triggers and sources."""

import orjson
import pytest
from click.shell_completion import ShellComplete

from gateway.cli import main
from tests.cli.conftest import Run
from tests.cli.stub import Stub

FIGURES = dict.fromkeys(
    (
        *("events", "redelivered", "runs", "merged", "duplicates", "filtered", "errors", "shadow", "skipped"),
        *("succeeded", "failed", "cancelled", "superseded"),
    ),
    0,
)
PAUSE = {"by": "ops", "reason": None, "until": None}
HOSTILE = "x\x1b[2J\ty"


def lines_of(text: str) -> list[dict[str, str]]:
    header, *lines = [line.split("\t") for line in text.splitlines()]
    return [dict(zip(header, line, strict=True)) for line in lines]


def test_stats_are_a_line_for_all_and_for_each_name(gateway: Run, stub: Stub) -> None:
    one = FIGURES | {"runs": 2, "merged": 7, "duplicates": 1, "failed": 1}
    stats = {
        "since": "2027-01-15T22:00:00Z",
        "until": "2027-01-16T22:00:00Z",
        "events_per_run": 5.5,
        "totals": one | {"events": 11},
        "sources": [FIGURES | {"name": HOSTILE, "events": 11, "runs": 2}],
        "triggers": [one | {"name": "every"}],
        "targets": [FIGURES | {"name": "sync"}],
    }
    stub.answers = [(200, stats)]
    since, table = gateway("stats", "--since", "24h").stdout.split("\n", 1)
    everything, source, trigger, target = lines_of(table)

    assert since == "Since 2027-01-15T22:00:00Z"
    assert stub.asked[0].path == "/api/v1/stats?since=24h"
    assert (everything["of"], everything["events"], everything["events per run"]) == ("all", "11", "5.5")
    assert (source["name"], source["events per run"]) == (r"x\x1b[2J\ty", "5.5")
    assert (trigger["of"], trigger["name"], trigger["events"], trigger["events per run"]) == (
        "trigger",
        "every",
        "",
        "5.0",
    )
    assert (target["runs"], target["events per run"]) == ("0", "")
    assert orjson.loads(gateway("stats", "--json").stdout) == stats


def test_audit(gateway: Run, stub: Stub) -> None:
    act = {
        "id": "0199",
        "at": "2027-01-15T22:00:00Z",
        "actor": "ops",
        "address": "::1",
        "action": "cancel",
        "kind": "runs",
        "name": None,
        "reason": HOSTILE,
        "outcome": None,
        "count": 7,
        "asked": {"target": "sync"},
    }
    stub.answers = [(200, {"items": [act], "next": None})]
    result = gateway("audit", "--actor", "ops", "--action", "cancel", "--since", "2h", "--limit", "7")
    [line] = lines_of(result.stdout)

    assert stub.asked[0].path == "/api/v1/audit?actor=ops&action=cancel&since=2h&limit=7"
    assert (line["actor"], line["count"], line["reason"]) == ("ops", "7", r"x\x1b[2J\ty")


def test_targets(gateway: Run, stub: Stub) -> None:
    target = {"name": "sync", "kind": "http", "state": "paused", "running": 0, "waiting": 3, "breaker": None}
    outcome = {"id": "0199-r", "state": "failed", "finished_at": "2027-01-15T22:00:00Z", "reason": "boom"}
    paused = target | {"paused": PAUSE}
    stub.answers = [(200, {"items": [paused], "next": None}), (200, paused | {"last_outcomes": [outcome]})]
    [line] = lines_of(gateway("targets", "list").stdout)
    shown = gateway("targets", "show", "sync").stdout

    assert [line[name] for name in ("name", "kind", "state", "waiting")] == ["sync", "http", "paused", "3"]
    assert "waiting  3\n" in shown
    assert "0199-r\tfailed\t2027-01-15T22:00:00Z\tboom" in shown


def test_triggers(gateway: Run, stub: Stub) -> None:
    trigger = {
        "name": "every",
        "on": [{"source": "netbox", "type": ["a.*", "b"]}, {"run": "build"}],
        "target": "sync",
        "mode": "run",
        "paused": PAUSE,
        "counts": FIGURES | {"runs": 2},
        "last_event": {"id": "0199-e", "type": "a.b", "received_at": "2027-01-15T22:00:00Z"},
    }
    stub.answers = [(200, {"items": [trigger], "next": None})]
    [line] = lines_of(gateway("triggers", "list", "--since", "1h").stdout)

    assert stub.asked[0].path == "/api/v1/triggers?since=1h&limit=50"
    assert [line[name] for name in ("name", "on", "runs", "paused", "last_event")] == [
        *("every", "netbox a.*|b, build", "2", "yes", "2027-01-15T22:00:00Z")
    ]


def test_sources(gateway: Run, stub: Stub) -> None:
    source = {
        "name": "inventory",
        "kind": "amqp",
        "path": None,
        "queue": "q",
        "state": "degraded: away",
        "ignored": 1,
        "paused": None,
        "counts": FIGURES | {"events": 5},
        "last_event": None,
    }
    stub.answers = [(200, {"items": [source], "next": None})]
    [line] = lines_of(gateway("sources", "list").stdout)

    assert [line[name] for name in ("at", "state", "events", "ignored", "paused", "last_event")] == [
        *("q", "degraded: away", "5", "1", "no", "")
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(gateway: Run, shell: str) -> None:
    script = gateway("completion", shell).stdout

    assert f"_GATEWAY_COMPLETE={shell}_complete" in script


def test_commands_and_options_are_completed() -> None:
    completion = ShellComplete(main, {}, "gateway", "_GATEWAY_COMPLETE")

    assert [item.value for item in completion.get_completions(["runs"], "re")] == ["retry"]
    assert "--dry-run" in [item.value for item in completion.get_completions(["runs", "retry"], "--d")]
