"""What is sent: how a request is configured, rendered and shown."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.core.errors import TemplateError
from gateway.core.outcome import PermanentFailure, RetryableFailure, Succeeded
from gateway.targets.call import HttpCall, Renderer
from tests.target_server import Call, TargetServer
from tests.targets.calling import PAYLOAD, attempt, configured, outcome_of


@pytest.fixture
async def server() -> AsyncIterator[TargetServer]:
    async with TargetServer() as server:
        yield server


def rendered(payload: Any = PAYLOAD, **keys: Any) -> HttpCall:
    keys.setdefault("url", "http://target.example/run")
    return Renderer(configured(**keys)).render(attempt(payload).context)


async def sent(server: TargetServer, payload: Any = PAYLOAD, **keys: Any) -> Call:
    keys.setdefault("url", server.url)
    assert isinstance(await outcome_of(attempt(payload), **keys), Succeeded)
    return server.calls[-1]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "post"])
async def test_without_a_body_the_payload_is_sent_as_it_is_stored(server: TargetServer, method: str) -> None:
    given = attempt()
    given.payload_bytes = b'{"kept":  1.10}'

    await outcome_of(given, url=server.url, method=method)

    [call] = server.calls
    assert call.method == method.upper()
    assert call.body == b'{"kept":  1.10}'
    assert call.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
async def test_methods_without_a_body_send_none(server: TargetServer, method: str) -> None:
    call = await sent(server, method=method)

    assert call.body == b""
    assert "Content-Type" not in call.headers


async def test_every_call_says_whose_it_is(server: TargetServer) -> None:
    given = attempt(run_id="run-1", number=3)
    theirs = dict.fromkeys(("idempotency-key", "x-gateway-run-id", "x-gateway-attempt", "TRACEPARENT"), "theirs")

    await outcome_of(given, url=server.url, headers=theirs)

    [call] = server.calls
    assert call.headers.getall("Idempotency-Key") == ["run-1"]
    assert call.headers.getall("X-Gateway-Run-Id") == ["run-1"]
    assert call.headers.getall("X-Gateway-Attempt") == ["3"]
    assert call.headers.getall("traceparent") == [given.traceparent]
    assert call.headers["User-Agent"].startswith("trigger-gateway/")


async def test_other_headers_of_the_configuration_win(server: TargetServer) -> None:
    headers = {"user-agent": "me", "content-type": "application/vnd.api+json", "X-Site": "{{ payload.site }}"}

    call = await sent(server, headers=headers)

    assert call.headers.getall("User-Agent") == ["me"]
    assert call.headers.getall("Content-Type") == ["application/vnd.api+json"]
    assert call.headers["X-Site"] == "ams"


@pytest.mark.parametrize(
    ("keys", "body", "media_type"),
    [
        ({"json": [{}]}, b"[{}]", "application/json"),
        ({"json": {"id": "{{ payload.device.id }}"}}, b'{"id":7}', "application/json"),
        ({"json": {"event": "{{ event }}"}}, None, "application/json"),
        ({"form": {"site": "{{ payload.site }}"}}, b"site=ams", "application/x-www-form-urlencoded"),
        (
            {"form": {"a": ["x & y", 2], "b": True, "c": None, "d": {"e": 1}}},
            b"a=x+%26+y&a=2&b=true&c=&d=%7B%22e%22%3A1%7D",
            "application/x-www-form-urlencoded",
        ),
        ({"body": "site: {{ payload.site }} ü"}, "site: ams ü".encode(), "text/plain; charset=utf-8"),
        ({"body": ""}, b"", "text/plain; charset=utf-8"),
    ],
)
async def test_a_configured_body(
    server: TargetServer, keys: dict[str, Any], body: bytes | None, media_type: str
) -> None:
    call = await sent(server, **keys)

    assert call.headers["Content-Type"] == media_type
    assert body is None or call.body == body


async def test_a_large_body_arrives_whole(server: TargetServer) -> None:
    call = await sent(server, json=["x" * 5_000_000])

    assert len(call.body) == 5_000_004
    assert call.headers["Content-Length"] == "5000004"


async def test_the_address_is_rendered_and_encoded(server: TargetServer) -> None:
    url = server.url + "/run/{{ run.id }}?name={{ payload.name }}&tag={{ payload.tag | urlencode }}"
    call = await sent(server, {"name": "sw 1 ü", "tag": "a&b=c"}, url=url)

    assert call.path == "/run/0198c0de-0000-7000-8000-000000000001?name=sw+1+%C3%BC&tag=a%26b%3Dc"


@pytest.mark.parametrize(
    "host",
    [
        "",
        "h\r\nX-Injected: 1",
        "h\0",
        "h\t",
        "two words",
        "user@h",
        "user:pass@h",
        "trusted@evil",
        "trusted\\@evil",
        "h:99999",
        "h:0x50",
        "[::1",
        "/path",
        "?query",
        "#fragment",
    ],
)
def test_an_address_that_cannot_be_called_is_refused(host: str) -> None:
    with pytest.raises(TemplateError, match="url"):
        rendered({"host": host}, url="http://{{ payload.host }}/")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://h/", "//h/", "h/path", "javascript:1", "http:h", "", "gopher://h"]
)
def test_an_address_of_another_kind_is_refused_by_configuration_and_call(url: str) -> None:
    with pytest.raises(ValidationError, match="url"):
        configured(url=url)
    with pytest.raises(TemplateError, match="url"):
        rendered({"url": url}, url="{{ payload.url }}")


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\nb", "a\0b"])
def test_a_header_value_that_would_break_the_request_is_refused(value: str) -> None:
    with pytest.raises(TemplateError, match="header X-Site"):
        rendered({"site": value}, headers={"X-Site": "{{ payload.site }}"})
    with pytest.raises(ValidationError, match="line break"):
        configured(url="http://h", headers={"X-Site": value})


@pytest.mark.parametrize("value", ["", " padded ", "ü €", "\x1b[2J", "\x7f", "\x0b", "x" * 20_000])
async def test_any_other_header_value_never_raises(server: TargetServer, value: str) -> None:
    given = attempt({"site": value})

    outcome = await outcome_of(given, url=server.url, headers={"X-Site": "{{ payload.site }}"})

    assert isinstance(outcome, Succeeded | PermanentFailure | RetryableFailure)


@pytest.mark.parametrize("template", ["{{ payload.missing }}", "{{ payload.site.code + 1 }}"])
@pytest.mark.parametrize("place", ["url", "header", "json", "form", "body"])
def test_a_template_that_fails_says_so(template: str, place: str) -> None:
    keys: dict[str, Any] = {place: {"x": template}, "headers": {}}
    if place == "header":
        keys = {"headers": {"X": template}}
    elif place in {"url", "body"}:
        keys = {place: f"http://h/{template}"}

    with pytest.raises(TemplateError, match=f"^{place}"):
        rendered(**keys)


@pytest.mark.parametrize("place", ["json", "form"])
@pytest.mark.parametrize("value", ["{{ 9 ** 30 }}", "{{ now }}", "{{ ['\ud800'] }}"])
def test_a_value_that_json_cannot_say_is_refused(place: str, value: str) -> None:
    with pytest.raises(TemplateError, match=f"^{place}: "):
        rendered(**{place: {"x": [[value]]}})


async def test_credentials_in_the_address_become_a_header_and_are_never_shown(server: TargetServer) -> None:
    url = server.url.replace("http://", "http://ops:p%40ss@") + "/run"
    given = attempt()

    await outcome_of(given, url=url)

    [call] = server.calls
    assert call.headers["Authorization"] == "Basic b3BzOnBAc3M="
    shown = str(rendered(url=url).shown)
    assert "ops" not in f"{shown}{given.lines}"
    assert "b3Bz" not in shown


def test_what_is_shown_masks_secrets() -> None:
    call = rendered(
        method="PUT",
        url="http://target.example/run?api_key=hush&site={{ payload.site }}",
        headers={"Authorization": "Bearer hush", "X-Proxbox-API-Key": "hush", "Cookie": "hush", "X-Site": "ams"},
        json={"login": {"password": "hush", "user": "ops"}, "tokens": ["hush"]},
    )

    assert call.shown == {
        "method": "PUT",
        "url": "http://target.example/run?api_key=***&site=ams",
        "headers": {
            "Authorization": "***",
            "X-Proxbox-API-Key": "***",
            "Cookie": "***",
            "X-Site": "ams",
            "Content-Type": "application/json",
        },
        "body": {"login": {"password": "***", "user": "ops"}, "tokens": "***"},
    }


def test_what_is_shown_of_a_text_ends_where_a_secret_begins() -> None:
    shown = rendered(body="site=ams&to=http://me:hush@host/&api_token=hush&more=hush").shown

    assert shown["body"] == "site=ams&to=http://***@host/&api_token=***"


def test_what_is_shown_holds_the_payload_where_that_is_sent() -> None:
    assert rendered().shown["body"] == PAYLOAD


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, "url"),
        ({"url": "http://h/{{ payload.x"}, "url"),
        ({"url": "http://h/{{ response.json }}"}, "unknown name 'response'"),
        ({"url": "http://h", "json": {}, "body": "x"}, "only one of json, form and body"),
        ({"url": "http://h", "form": ["x"]}, "fields"),
        ({"url": "http://h", "method": "BREW"}, "method"),
        ({"url": "http://h", "headers": {"X Y": "a"}}, "headers"),
        ({"url": "http://h", "headers": {"X\r\nY": "a"}}, "headers"),
        ({"url": "http://h", "headers": {"Content-Length": "5"}}, "belongs to the connection"),
        ({"url": "http://h", "headers": {"transfer-encoding": "chunked"}}, "belongs to the connection"),
        ({"url": "http://h", "headers": {"X": "{{ secret }}"}}, "unknown name 'secret'"),
        ({"url": "http://h", "json": {"a": "{{ item }}"}}, "unknown name 'item'"),
        ({"url": "http://h", "success": {"status": "2xy"}}, "2xy"),
        ({"url": "http://h", "success": {"status": [200, 999]}}, "999"),
        ({"url": "http://h", "success": {"status": []}}, "at least one"),
        ({"url": "http://h", "success": {"when": "started.json"}}, "unknown name 'started'"),
        ({"url": "http://h", "permanent": "{{ response }}"}, "permanent"),
        ({"url": "http://h", "output": {"id": "{{ started }}"}}, "unknown name 'started'"),
        ({"url": "http://h", "connect_timeout": "0s"}, "connect_timeout"),
        ({"url": "http://h", "tls": {"ca": "/nowhere.pem"}}, "ca"),
        ({"url": "http://h", "tls": {"ca": "/etc/hostname"}}, "no certificates"),
        ({"url": "http://h", "tls": {"ca": "/etc/hostname", "verify": False}}, "verify"),
        ({"url": "http://h", "follow_redirects": True}, "follow_redirects"),
    ],
)
def test_a_slip_in_the_configuration_is_named(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        configured(**keys)


async def test_the_names_its_templates_use() -> None:
    settings = configured(
        url="http://h/{{ run.id }}",
        headers={"X": "{{ event.type }}"},
        success={"when": "response.json.site == payload.site"},
        output={"at": "{{ now() }}", "n": "{{ events | length }}"},
    )

    async with settings.open() as target:
        assert {"run", "event", "payload", "events"} <= target.names
        assert "response" not in target.names
