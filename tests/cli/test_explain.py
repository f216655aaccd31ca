"""`gateway explain` says what an event would come to: by a gateway, or by a configuration alone."""

from pathlib import Path

import orjson
import pytest

from tests.cli.conftest import Run
from tests.cli.stub import Stub

CONFIG = """
server: {port: 9}
sources:
  alarms:
    kind: webhook
    verify: {scheme: hmac, header: X-Signature, secret: a-secret-of-the-source}
    event: {type: "alarm.{{ body.severity }}", id: "{{ body.id }}"}
    ignore: "body.severity == 'none'"
  several:
    kind: webhook
    verify: {scheme: token, name: X-Token, secret: a-secret-token}
    split: "{{ body.alarms }}"
    event: {type: "{{ item }}"}
  github: {preset: github, secret: a-github-secret}
  inventory: {kind: amqp, url: "amqp://localhost/", queue: inventory, event: {subject: "{{ headers.tenant }}"}}
targets:
  sync: {kind: http, url: "http://127.0.0.1:9/{{ run.id }}", headers: {Authorization: "Bearer a-secret-of-the-target"}}
  program: {kind: command, argv: [echo, "{{ payload.host }}"]}
triggers:
  high: {on: alarms, target: sync, when: "event.data.severity == 'high'", once: {key: "{{ event.data.host }}"}}
  any: {on: alarms, target: program, payload: {host: "{{ event.data.host }}"}}
  each: {on: several, target: sync}
  node: {on: {source: inventory, type: "node.*"}, target: sync}
  pushed: {on: {source: github, type: github.push}, target: sync}
"""
HIGH = b'{"id": 1, "severity": "high", "host": "ams"}'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """As `config.yaml` in the present folder."""
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


def test_a_body_is_explained_without_a_gateway_or_a_signature(gateway: Run, config: Path) -> None:
    result = gateway("explain", "--source", "alarms", "--body", "-", "--json", stdin=HIGH)

    document = orjson.loads(result.stdout)
    assert result.exit_code == 0
    assert document["event"]["type"] == "alarm.high"
    assert [(one["trigger"], one["decision"]) for one in document["triggers"]] == [
        ("high", "enqueued"),
        ("any", "enqueued"),
    ]
    assert document["triggers"][0]["request"]["key"] == "ams"
    assert document["triggers"][0]["request"]["call"]["url"] == "http://127.0.0.1:9/run.id"
    assert document["triggers"][1]["request"]["call"]["argv"] == ["echo", "ams"]


def test_no_secret_is_printed(gateway: Run, config: Path) -> None:
    result = gateway("explain", "--source", "alarms", "--body", "-", stdin=HIGH)

    assert "a-secret" not in result.output
    assert "***" in result.output


def test_people_see_the_values_that_decided(gateway: Run, config: Path) -> None:
    result = gateway("explain", "--source", "alarms", "--body", "-", stdin=HIGH.replace(b"high", b"low"))

    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert "trigger high" in lines
    assert "decision filtered" in lines
    assert 'event.data.severity "low"' in lines
    assert "event.data.severity == 'high' false" in lines
    assert 'call.argv ["echo","ams"]' in lines


def test_the_body_can_be_a_file(gateway: Run, config: Path, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_bytes(HIGH)

    assert "alarm.high" in gateway("explain", "--source", "alarms", "--body", "body.json").stdout


def test_each_event_of_a_batch_is_explained(gateway: Run, config: Path) -> None:
    result = gateway("explain", "--source", "several", "--body", "-", "--json", stdin=b'{"alarms": ["a", "b"]}')

    assert [one["event"]["type"] for one in orjson.loads(result.stdout)["items"]] == ["a", "b"]


def test_what_the_source_ignores_is_said_to_be_ignored(gateway: Run, config: Path) -> None:
    result = gateway("explain", "--source", "alarms", "--body", "-", stdin=b'{"severity": "none"}')

    assert result.exit_code == 0
    assert "Ignored" in result.stdout


def test_the_sender_of_a_preset_sends_its_headers(gateway: Run, config: Path) -> None:
    body = b'{"ref": "refs/heads/main", "repository": {"full_name": "a/b"}}'
    result = gateway("explain", "--source", "github", "--body", "-", "--json", stdin=body)
    other = gateway(
        "explain", "--source", "github", "--body", "-", "--header", "x-github-event:ping", "--json", stdin=body
    )

    assert orjson.loads(result.stdout)["triggers"][0]["decision"] == "enqueued"
    assert orjson.loads(other.stdout)["triggers"][0]["decision"] == "filtered"


def test_a_message_of_a_queue_is_explained_with_its_properties(gateway: Run, config: Path) -> None:
    asked = ["explain", "--source", "inventory", "--body", "-", "--header", "tenant: a", "--json"]
    bound = gateway(*asked, "--property", "routing_key:node.created", "--property", "message_id: 7", stdin=HIGH)
    direct = gateway(*asked, stdin=HIGH)

    document = orjson.loads(bound.stdout)
    assert [document["event"][name] for name in ("type", "subject", "sender_id")] == ["node.created", "a", "7"]
    assert [one["decision"] for one in document["triggers"]] == ["enqueued"]
    assert orjson.loads(direct.stdout)["event"]["type"] == "inventory"


def test_a_message_that_would_be_parked_says_why(gateway: Run, config: Path) -> None:
    result = gateway("explain", "--source", "inventory", "--body", "-", stdin=b"{")

    assert result.exit_code == 0
    assert "gateway.rejected" in result.stdout
    assert "not JSON" in result.stdout


def test_a_property_that_there_is_not_suggests_the_nearest(gateway: Run, config: Path) -> None:
    result = gateway("explain", "--source", "inventory", "--body", "-", "--property", "routing-key:a", stdin=b"{}")

    assert "did you mean 'routing_key'?" in result.stderr


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b"\xff", b'{"severity": {}}', b"null"])
def test_a_body_of_which_no_event_comes_is_refused(gateway: Run, config: Path, body: bytes) -> None:
    result = gateway("explain", "--source", "alarms", "--body", "-", stdin=body)

    assert result.exit_code == 2 or b"severity" in body
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["an-id", "--source", "alarms"],
        ["--source", "alarms"],
        ["--body", "-"],
        ["an-id", "--body", "-"],
        ["--source", "ghost", "--body", "-"],
        ["--source", "inventory", "--body", "-", "--property", "routing-key:a"],
        ["--source", "inventory", "--body", "-", "--property", "routing_key"],
        ["--source", "alarms", "--body", "-", "--property", "type:alarm"],
        ["--source", "alarms", "--body", "missing.json"],
        ["--source", "alarms", "--body", "-", "--header", "nothing"],
        ["--source", "alarms", "--body", "-", "-c", "missing.yaml"],
    ],
)
def test_a_wrong_question_is_a_usage_error(gateway: Run, config: Path, arguments: list[str]) -> None:
    assert gateway("explain", *arguments, stdin=HIGH).exit_code == 2


TOLD = {
    "event": {"source": "alarms", "type": "alarm", "sender_id": None, "object": {"much": "data"}},
    "triggers": [
        {
            "trigger": "high",
            "item": None,
            "decision": "merged",
            "reason": "key 'ams' is held",
            "operands": [{"expression": "a", "value": None, "error": "a is undefined\x1b[2J"}],
            "request": {
                "target": "sync",
                "held_by": {"run_id": "0199-r", "state": "queued"},
                "call": None,
                "call_error": "url: no",
            },
        }
    ],
}


def test_an_event_is_explained_by_the_gateway_that_has_it(gateway: Run, stub: Stub) -> None:
    stub.answers = [(200, TOLD)]

    result = gateway("explain", "0199-e")

    [asked] = stub.asked
    assert (asked.method, asked.path, orjson.loads(asked.body)) == ("POST", "/api/v1/explain", {"event_id": "0199-e"})
    assert result.exit_code == 0
    assert "run 0199-r, queued" in result.stdout
    assert "url: no" in result.stdout
    assert "\x1b" not in result.stdout
    assert "much" not in result.stdout


def test_an_event_nobody_listens_to_is_said_so(gateway: Run, stub: Stub) -> None:
    stub.answers = [(200, TOLD | {"triggers": []})]

    assert "No trigger listens" in gateway("explain", "0199-e").stdout


def test_json_is_what_the_gateway_says(gateway: Run, stub: Stub) -> None:
    stub.answers = [(200, TOLD)]

    assert orjson.loads(gateway("explain", "0199-e", "--json").stdout) == TOLD


def test_an_unknown_event_is_a_usage_error(gateway: Run, stub: Stub) -> None:
    stub.answers = [(404, {"title": "Not found", "detail": "there is no such event"})]

    assert gateway("explain", "0199-e").exit_code == 2
