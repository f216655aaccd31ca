"""Log lines: one for each event, in either form, forged by nobody, and without secrets."""

import io
import logging
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, NoReturn

import orjson
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from gateway import log
from gateway.core import secrecy
from gateway.core.secrecy import hide
from gateway.core.template import Template, Tree

FORGERY = 'x\n{"level":"info","event":"forged"}\r\x1b[2K\x9b1m\u2028forged\u2029\u202e\x00\udcff'


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What goes to standard error; afterwards logging is as it was."""
    for name in ("GATEWAY_LOG_LEVEL", "GATEWAY_LOG_FORMAT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(secrecy, "_hidden", type(secrecy._hidden)())
    stream = io.StringIO()
    monkeypatch.setattr(log, "sys", SimpleNamespace(stderr=stream))
    root, own = logging.getLogger(), logging.getLogger("gateway")
    before = (root.handlers[:], root.level, own.level)
    root.handlers = []
    yield stream
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers, root.level = before[0], before[1]
    own.setLevel(before[2])


def written(output: io.StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in output.getvalue().splitlines()]


def only(output: io.StringIO) -> dict[str, Any]:
    lines = written(output)
    assert len(lines) == 1
    return lines[0]


def say(place: str, text: str) -> None:
    """Logs a text from outside in one of the places where it can come to stand."""
    logger = structlog.get_logger()
    match place:
        case "event":
            logger.info(text)
        case "value":
            logger.info("a.b", value=text)
        case "key":
            logger.info("a.b", **{text: 1})
        case "nested":
            logger.info("a.b", value={"list": [text, {text: text}], "bytes": [text.encode(errors="surrogatepass")]})
        case "context":
            structlog.contextvars.bind_contextvars(run=text)
            logger.info("a.b")
        case "error":
            logger.info("a.b", error=ValueError(text))
        case "library":
            logging.getLogger("aiohttp.server").error("bad: %s", text)
        case "logger":
            logging.getLogger(text).error("bad")


def fail_with_a_cause() -> None:
    empty: dict[str, int] = {}
    try:
        _ = empty[FORGERY]
    except KeyError as error:
        raise ExceptionGroup(FORGERY, [ValueError(FORGERY)]) from error


def fail_with_a_local(local: str) -> NoReturn:
    raise ValueError(len(local))


@pytest.mark.parametrize("json", [True, False], ids=["json", "console"])
@pytest.mark.parametrize("place", ["event", "value", "key", "nested", "context", "error", "library", "logger"])
def test_s10_no_field_forges_a_line(output: io.StringIO, place: str, json: bool) -> None:
    log.configure(json=json)
    say(place, FORGERY)

    line = output.getvalue()
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert "forged" in line


@pytest.mark.parametrize("json", [True, False], ids=["json", "console"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(text=st.text(st.characters(exclude_categories=())))
def test_s10_whatever_the_text(output: io.StringIO, json: bool, text: str) -> None:
    log.configure(json=json)
    output.truncate(output.seek(0))
    say("nested", text)
    say("value", text)

    assert [line.isprintable() for line in output.getvalue().split("\n")] == [True] * 3


def test_s10_json_keeps_what_was_said(output: io.StringIO) -> None:
    log.configure(json=True)
    say("value", "a\n\x1b\u202e")

    assert only(output)["value"] == "a\n\x1b\u202e"


def test_s10_the_lines_of_an_exception_are_set_in_on_a_console(output: io.StringIO) -> None:
    log.configure(json=False)
    try:
        fail_with_a_cause()
    except ExceptionGroup:
        structlog.get_logger().exception("a.b")

    first, *others = output.getvalue().removesuffix("\n").split("\n")
    assert "a.b" in first
    assert [line for line in others if not line.startswith("    ") or not line.isprintable()] == []
    assert {"KeyError:", "ExceptionGroup:", "ValueError:"} <= set(output.getvalue().split())


def test_a_line_is_json_with_time_level_and_event_first(output: io.StringIO) -> None:
    log.configure(json=True)
    structlog.get_logger().info("run.succeeded", run="0199", took=1.5, attempts=2, late=None, ok=True)

    line = only(output)
    assert list(line) == ["timestamp", "level", "event", "run", "took", "attempts", "late", "ok"]
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0)
    assert line["timestamp"].endswith("Z")
    assert (line["level"], line["event"], line["took"], line["late"]) == ("info", "run.succeeded", 1.5, None)


def test_any_value_can_be_logged(output: io.StringIO) -> None:
    log.configure(json=True)
    deep: list[Any] = []
    for _ in range(2000):
        deep = [deep]
    moment = datetime(2027, 1, 15, tzinfo=UTC)
    structlog.get_logger().info("a.b", big=2**100, nan=float("nan"), at=moment, set={1}, deep=deep, b=b"\xff", o=object)

    line = only(output)
    assert line["big"] == str(2**100)
    assert line["at"] == "2027-01-15T00:00:00+00:00"
    assert line["b"] == "\\xff"
    assert "…" in orjson.dumps(line["deep"]).decode()


def test_exceptions_have_no_locals(output: io.StringIO) -> None:
    log.configure(json=True)
    try:
        fail_with_a_local("hunter2hunter2")
    except ValueError:
        structlog.get_logger().exception("a.b")

    line = only(output)
    assert line["exception"][0]["exc_value"] == "14"
    assert line["exception"][0]["frames"][0].keys() == {"filename", "lineno", "name"}
    assert "hunter2hunter2" not in output.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "cookie",
        "Set-Cookie",
        "x-token",
        "client_secret",
        "PASSWORD",
        "api_key",
        "X-API-Key",
        "signature",
    ],
)
def test_what_has_the_name_of_a_secret_is_masked(output: io.StringIO, name: str) -> None:
    log.configure(json=True)
    structlog.get_logger().info("a.b", headers={name: "hunter2"}, **{name: ["hunter2"]})

    line = only(output)
    assert line["headers"] == {name: "***"}
    assert line[name] == "***"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("amqp://guest:hunter2@rabbit/vhost", "amqp://guest:***@rabbit/vhost"),
        ("postgresql://u:p@ss:w@db/x and redis://:pw@r", "postgresql://u:***@db/x and redis://:***@r"),
        ("http://host:8080/a@b", "http://host:8080/a@b"),
        ("Authorization: Bearer abcdef123456", "Authorization: Bearer ***"),
        ("GET /hooks/x?token=abcdef123456&page=2", "GET /hooks/x?token=***&page=2"),
    ],
)
def test_secrets_within_texts_are_masked(output: io.StringIO, text: str, shown: str) -> None:
    log.configure(json=True)
    structlog.get_logger().info("a.b", value=text)

    assert only(output)["value"] == shown


@pytest.mark.parametrize("json", [True, False], ids=["json", "console"])
@pytest.mark.parametrize("place", ["event", "value", "key", "nested", "context", "error", "library", "logger"])
@pytest.mark.parametrize("secret", ["hunter2", 'q"uo\\te', "new\nline", "ümläut/+", "a bcd"])
def test_a_hidden_value_is_never_shown(output: io.StringIO, place: str, secret: str, json: bool) -> None:
    log.configure(json=json)
    hide([secret])
    for form in (secret, repr(secret), orjson.dumps(secret).decode()):
        say(place, f"before {form} after")

    assert secret not in output.getvalue()
    assert repr(secret)[1:-1] not in output.getvalue()
    assert "***" in output.getvalue()


def test_the_password_of_a_hidden_url_is_hidden_on_its_own(output: io.StringIO) -> None:
    log.configure(json=True)
    hide(["postgresql://gateway:hunter2@db/gateway"])
    structlog.get_logger().info("a.b", value="the server does not like hunter2")

    assert only(output)["value"] == "the server does not like ***"


def test_short_values_are_not_hidden(output: io.StringIO) -> None:
    log.configure(json=True)
    hide(["", "a", "abc"])
    structlog.get_logger().info("a.b", value="abc")

    assert only(output)["value"] == "abc"


def test_secrets_are_found_in_a_configuration() -> None:
    class Target(BaseModel):
        model_config = {"arbitrary_types_allowed": True}

        key: SecretStr = SecretStr("one-secret")
        headers: dict[str, Template] = {"X-API-Key": Template("Bearer two-secret"), "Accept": Template("text/plain")}
        body: Tree = Tree({"list": [{"password": "three-secret"}], "user": "somebody"})
        token: Template = Template("{{ event.data.token }}")

    found = log.secrets_in({"targets": {"a": Target()}, "tokens": [{"name": "ops", "token": "four-secret"}]})

    assert list(found) == ["one-secret", "two-secret", "three-secret", "four-secret"]


def test_below_the_level_nothing_is_said(output: io.StringIO) -> None:
    log.configure(json=True, level="warning")
    structlog.get_logger().info("a.b")
    structlog.get_logger().warning("c.d")

    assert only(output)["event"] == "c.d"


def test_libraries_speak_from_warnings_upwards_through_the_same_form(output: io.StringIO) -> None:
    log.configure(json=True, level="debug")
    library = logging.getLogger("some.library")
    library.info("about myself")
    library.warning("too %s", "late")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        log.configure(json=True)
        warnings.warn("old", stacklevel=1)

    spoken, warned = written(output)
    assert (spoken["event"], spoken["level"], spoken["logger"]) == ("too late", "warning", "some.library")
    assert warned["logger"] == "py.warnings"


def test_the_environment_chooses_level_and_format(output: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_LOG_LEVEL", "ERROR")
    monkeypatch.setenv("GATEWAY_LOG_FORMAT", "console")
    log.configure()
    structlog.get_logger().warning("a.b")
    structlog.get_logger().error("c.d")

    assert "a.b" not in output.getvalue()
    assert output.getvalue().startswith("20")


@pytest.mark.parametrize("variable", ["GATEWAY_LOG_LEVEL", "GATEWAY_LOG_FORMAT"])
def test_an_unknown_choice_is_refused(variable: str, output: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "loud\n\x1b")

    with pytest.raises(ValueError, match=rf"{variable}: expected .*, got loud\\n\\x1b"):
        log.configure()


def test_a_terminal_gets_columns_and_anything_else_json(output: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    log.configure()
    structlog.get_logger().info("a.b")
    assert only(output)["event"] == "a.b"

    monkeypatch.setattr(output, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    log.configure()
    structlog.get_logger().info("c.d")
    assert "\x1b[" in output.getvalue().splitlines()[1]


def test_a_closed_standard_error_stops_nobody(output: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(output, "write", broken)
    log.configure(json=True)

    structlog.get_logger().info("a.b")
