"""`gateway send` is believed by the source, and tells what was decided."""

import shlex
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from gateway.cli.posting import SAMPLE_ID, SAMPLE_TIME
from gateway.config import load
from gateway.core.event import Event
from gateway.sources.incoming import Incoming
from gateway.sources.webhook import Settings, WebhookSource
from tests.cli.conftest import CONFIG, Run
from tests.cli.stub import Asked, Stub
from tests.sources.senders import event

ACCEPTED = {"event_id": "0199-e", "duplicate": False, "decisions": []}


def event_of(config: Path, source: str, asked: Asked) -> Event:
    """What the source of the configuration makes of a request. Raises where it does not believe it."""
    settings = load(config, {}).config.sources[source]
    assert isinstance(settings, Settings)
    query = dict(parse_qsl(urlsplit(asked.path).query))
    incoming = Incoming(method=asked.method, headers=asked.headers, query=query, raw=asked.body, remote="127.0.0.1")
    return event(WebhookSource(source, settings).to_events(incoming, datetime.now(UTC)))  # noqa: TID251 - as it was signed


@pytest.mark.parametrize(("source", "type_"), [("netbox", "netbox.dcim.site.updated"), ("github", "github.push")])
def test_the_sample_is_a_new_event_each_time(gateway: Run, config: Path, stub: Stub, source: str, type_: str) -> None:
    stub.answers = [(202, ACCEPTED)]
    assert [gateway("send", source).exit_code for _ in range(2)] == [0, 0]

    assert [asked.path for asked in stub.asked] == [f"/hooks/{source}"] * 2
    first, second = (event_of(config, source, asked) for asked in stub.asked)
    assert first.type == second.type == type_
    assert first.sender_id != second.sender_id
    assert SAMPLE_ID.encode() not in stub.asked[0].body
    assert SAMPLE_TIME.isoformat().encode() not in stub.asked[0].body


@pytest.mark.parametrize("source", ["netbox", "github"])
def test_a_kept_sample_is_the_same_event_each_time(gateway: Run, config: Path, stub: Stub, source: str) -> None:
    stub.answers = [(202, ACCEPTED)]
    for _ in range(2):
        gateway("send", source, "--keep")

    first, second = (event_of(config, source, asked) for asked in stub.asked)
    assert first.sender_id == second.sender_id


def test_the_netbox_sample_says_what_changed(gateway: Run, config: Path, stub: Stub) -> None:
    stub.answers = [(202, ACCEPTED)]
    gateway("send", "netbox")

    event = event_of(config, "netbox", stub.asked[0])
    assert event.changed == ("status",)
    assert event.object["slug"] == "harbour"


@pytest.mark.parametrize("argument", ["body.bin", "-"])
def test_a_file_is_sent_byte_by_byte(gateway: Run, config: Path, stub: Stub, argument: str) -> None:
    raw = b'{ "a":\t1 }\r\n'
    Path("body.bin").write_bytes(raw)
    stub.answers = [(202, ACCEPTED)]
    gateway("send", "by-token", argument, stdin=raw)

    assert stub.asked[0].body == raw
    assert stub.asked[0].headers["x-token"] == "a-secret-token"


def test_a_header_goes_over_that_of_the_sender(gateway: Run, config: Path, stub: Stub) -> None:
    stub.answers = [(202, ACCEPTED)]
    gateway("send", "github", "--header", "x-github-event: ping", "--header", "X-Hub-Signature-256:sha256=00")

    assert stub.asked[0].headers["x-github-event"] == "ping"
    assert stub.asked[0].headers["x-hub-signature-256"] == "sha256=00"


@pytest.mark.parametrize("header", ["no-colon", ":empty", "A: \x1b", "A\nB: c", "Ü: a"])
def test_what_is_no_header_is_refused(gateway: Run, config: Path, header: str) -> None:
    result = gateway("send", "netbox", "--header", header)

    assert result.exit_code == 2
    assert "\x1b" not in result.stderr


def test_decisions_are_shown_and_cannot_steer_the_terminal(gateway: Run, config: Path, stub: Stub) -> None:
    decision = {"trigger": "t", "decision": "enqueued", "run_id": "0199-r", "reason": "[red]\x1b[2J\n\u202e"}
    stub.answers = [(202, {**ACCEPTED, "decisions": [decision]})]
    result = gateway("send", "netbox")

    assert result.stdout.splitlines()[0] == "Accepted as event 0199-e."
    assert result.stdout.splitlines()[2] == "t\tenqueued\t0199-r\t[red]\\x1b[2J\\n\\u202e"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({**ACCEPTED, "duplicate": True}, "A duplicate of event 0199-e"),
        (ACCEPTED, "no trigger listens"),
        ({"event_id": "0199-e", "duplicate": False}, "Accepted as event 0199-e."),
        ({"event_id": None, "duplicate": False, "decisions": []}, "Ignored"),
        ({"items": [ACCEPTED, {**ACCEPTED, "duplicate": True}]}, "A duplicate of event 0199-e"),
        (b"ok\x1b", r"Accepted: 202 ok\x1b"),
    ],
)
def test_every_kind_of_answer_is_told(gateway: Run, config: Path, stub: Stub, answer: object, said: str) -> None:
    stub.answers = [(202, answer)]
    result = gateway("send", "netbox")

    assert result.exit_code == 0
    assert said in result.stdout


@pytest.mark.parametrize(
    ("status", "exit_code"), [(400, 2), (401, 4), (404, 2), (413, 2), (422, 2), (429, 2), (503, 4)]
)
def test_a_refusal_is_told(gateway: Run, config: Path, stub: Stub, status: int, exit_code: int) -> None:
    stub.answers = [(status, {"title": "Refused", "detail": "the proof does not match"})]
    result = gateway("send", "netbox")

    assert result.exit_code == exit_code
    assert "Refused: the proof does not match" in result.stderr
    assert "GATEWAY_TOKEN" not in result.stderr


def test_without_a_gateway_it_says_how_to_start_one(gateway: Run, config: Path) -> None:
    result = gateway("send", "netbox")

    assert result.exit_code == 4
    assert "http://127.0.0.1:9" in result.stderr
    assert "gateway serve" in result.stderr


def test_an_unknown_source_suggests_the_nearest(gateway: Run, config: Path) -> None:
    result = gateway("send", "netbx")

    assert result.exit_code == 2
    assert "'netbox'" in result.stderr


def test_a_source_without_sample_needs_a_file(gateway: Run, config: Path) -> None:
    result = gateway("send", "by-token")

    assert result.exit_code == 2
    assert "FILE" in result.stderr


@pytest.mark.parametrize("place", ["query", "body"])
def test_a_token_stands_where_the_source_looks_for_it(gateway: Run, config: Path, stub: Stub, place: str) -> None:
    config.write_text(CONFIG.replace("name: X-Token,", f"name: t, in: {place},"))
    stub.answers = [(202, ACCEPTED)]
    assert gateway("send", "by-token", "-", stdin=b"{}").exit_code == 0

    assert event_of(config, "by-token", stub.asked[0]).data == {}


@pytest.mark.parametrize(
    ("kind", "body", "type_"),
    [
        ("form", b"a=1", "application/x-www-form-urlencoded"),
        ("text", b"a", "text/plain; charset=utf-8"),
        (
            "cloudevents",
            b'{"specversion": "1.0", "id": "1", "source": "/", "type": "t"}',
            "application/cloudevents+json",
        ),
    ],
)
def test_a_body_is_called_what_it_is(  # noqa: PLR0917 - fixtures
    gateway: Run, config: Path, stub: Stub, kind: str, body: bytes, type_: str
) -> None:
    config.write_text(CONFIG.replace("verify: {scheme: token", f"body: {kind}\n    verify: {{scheme: token"))
    stub.answers = [(202, ACCEPTED)]
    gateway("send", "by-token", "-", stdin=body)

    assert stub.asked[0].headers["content-type"] == type_
    assert event_of(config, "by-token", stub.asked[0]).source == "by-token"


def test_a_body_that_has_no_place_for_the_token_is_not_sent(gateway: Run, config: Path) -> None:
    config.write_text(CONFIG.replace("name: X-Token,", "name: t, in: body,"))
    result = gateway("send", "by-token", "-", stdin=b"[]")

    assert result.exit_code == 2
    assert "field t" in result.stderr


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:9/"),
        ("::", "http://[::1]:9/"),
        ("::1", "http://[::1]:9/"),
        ("h.test", "http://h.test:9/"),
    ],
)
def test_the_address_is_that_of_the_configuration(gateway: Run, config: Path, host: str, url: str) -> None:
    tokens = "access: {tokens: [{name: a, token: a-long-token, role: viewer}]}"
    config.write_text(CONFIG.replace("{port: 9}", f'{{port: 9, host: "{host}"}}') + tokens)

    assert f"{url}hooks/netbox" in gateway("send", "netbox", "--curl").stdout


def test_curl_is_the_same_request(gateway: Run, config: Path, stub: Stub) -> None:
    Path("body").write_text("it's\n$HOME 'ü'")
    stub.answers = [(202, ACCEPTED)]
    argv = shlex.split(gateway("send", "by-token", "body", "--curl").stdout)
    assert stub.asked == []

    gateway("send", "by-token", "body")
    headers = {
        argv[at + 1].partition(": ")[0].lower(): argv[at + 1].partition(": ")[2] for at in _positions(argv, "-H")
    }
    assert argv[:3] == ["curl", "-X", stub.asked[0].method]
    assert argv[-2].encode() == stub.asked[0].body
    assert argv[-1] == stub.url + stub.asked[0].path
    assert headers.items() <= stub.asked[0].headers.items()


def test_json_of_an_answer_that_is_none(gateway: Run, config: Path, stub: Stub) -> None:
    stub.answers = [(200, b"ok")]

    assert orjson.loads(gateway("send", "netbox", "--json").stdout) == {"status": 200, "body": "ok"}


def test_json_is_the_answer(gateway: Run, config: Path, stub: Stub) -> None:
    stub.answers = [(202, ACCEPTED)]

    assert orjson.loads(gateway("send", "netbox", "--json").stdout) == ACCEPTED


def _positions(argv: list[str], wanted: str) -> list[int]:
    return [at for at, argument in enumerate(argv) if argument == wanted]
