"""How log lines look, and what never stands in them.

An event is one line: JSON, or columns for people at a terminal. Its name is constant and dotted, all else is a key with
a value. What comes from outside cannot begin a line of its own nor steer a terminal, and secrets are shown as `***`:
whatever has the name of a secret, passwords in URLs, tokens in headers and queries, and every value that is hidden.
What libraries log through the standard library goes the same way, from warnings upwards.
"""

import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson
import structlog
from pydantic import BaseModel, SecretStr
from structlog.stdlib import ProcessorFormatter, add_logger_name
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor

from gateway.core.printable import one_line, safe_json
from gateway.core.secrecy import MASK, PASSWORD, masked
from gateway.core.template import Template, Tree

MAX_DEPTH = 16
MAX_FRAMES = 20
SHORTEST_PLAIN_SECRET = 8  # `Bearer` and its kind stand before tokens
LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("json", "console")

_FIRST = ("timestamp", "level", "event")
_INT64 = 2**63
_SECRET_NAME = re.compile(
    r"authorization|cookie|credential|passphrase|passw|secret|signature|token|(?:api|private)[_-]?key", re.IGNORECASE
)
_CREDENTIAL = re.compile(rf"(\bbearer\s+|[?&][\w-]*(?:{_SECRET_NAME.pattern})[\w-]*=)[^\s&#'\"]{{8,}}", re.IGNORECASE)
_IN_ADDRESS = re.compile(
    rf"[?&][\w-]*(?:key|{_SECRET_NAME.pattern})[\w-]*=([^\s&#{{}}]{{{SHORTEST_PLAIN_SECRET},}})", re.IGNORECASE
)


def secrets_in(settings: Any, name: str = "") -> Iterator[str]:
    """The secrets in a configuration: each `SecretStr`, and what stands in plain text under the name of a secret."""
    match settings:
        case SecretStr():
            yield settings.get_secret_value()
        case BaseModel():
            yield from secrets_in(dict(settings), name)
        case Mapping():
            for key, value in settings.items():
                yield from secrets_in(value, str(key))
        case list() | tuple():
            for value in settings:
                yield from secrets_in(value, name)
        case Template() | Tree():
            yield from secrets_in(settings.source, name)
        case str() if "://" in settings:
            yield from _IN_ADDRESS.findall(settings)
        case str() if _SECRET_NAME.search(name) and "{{" not in settings:
            yield from (word for word in settings.split() if len(word) >= SHORTEST_PLAIN_SECRET)


def configure(*, json: bool | None = None, level: str | None = None) -> None:
    """Sends all log lines to standard error; what is not given comes from the environment.

    `GATEWAY_LOG_LEVEL` is one of debug, info, warning, error; `GATEWAY_LOG_FORMAT` is json or console, by default
    console only on a terminal. Raises `ValueError` for anything else.
    """
    name = level or _choice("GATEWAY_LOG_LEVEL", LEVELS) or "info"
    threshold = logging.getLevelNamesMapping()[name.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False, max_frames=MAX_FRAMES)),
    ]
    structlog.configure(
        processors=[*shared, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: logging.getLogger("gateway"),
        cache_logger_on_first_use=True,
    )
    _configure_standard_library(threshold, [add_logger_name, *shared], _renderer(json=json))


def _configure_standard_library(threshold: int, foreign: list[Processor], renderer: Processor) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=foreign,
            processors=[ProcessorFormatter.remove_processors_meta, _clean, renderer],
        )
    )
    # below a warning, libraries talk about themselves
    logging.basicConfig(handlers=[handler], level=max(threshold, logging.WARNING), force=True)
    logging.getLogger("gateway").setLevel(threshold)
    logging.getLogger("aiormq.connection").setLevel(logging.CRITICAL)  # it logs what it raises as well
    logging.captureWarnings(capture=True)


def _renderer(*, json: bool | None) -> Processor:
    at_terminal = sys.stderr.isatty()
    if json is None:
        chosen = _choice("GATEWAY_LOG_FORMAT", FORMATS)
        json = chosen == "json" if chosen else not at_terminal
    return _render_json if json else _Console(colors=at_terminal and "NO_COLOR" not in os.environ)


def _choice(variable: str, known: tuple[str, ...]) -> str | None:
    value = os.environ.get(variable, "").lower()
    if value and value not in known:
        raise ValueError(f"{variable}: expected {', '.join(known)}, got {one_line(value)}")
    return value or None


def _render_json(_logger: object, _method: str, event: EventDict) -> str:
    first = {name: event.pop(name) for name in _FIRST if name in event}
    return safe_json(orjson.dumps({**first, **event}).decode())


class _Console:
    """Columns for people."""

    def __init__(self, *, colors: bool) -> None:
        plain = structlog.dev.plain_traceback  # never used: exceptions are texts by then
        self._render = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain, sort_keys=False)

    def __call__(self, logger: object, method: str, event: EventDict) -> str:
        stacks = event.pop("exception", None)
        shown = {one_line(key): one_line(value) if isinstance(value, str) else value for key, value in event.items()}
        if stacks:
            shown["exception"] = "\n".join(_traceback(stacks))
        return self._render(logger, method, shown)


def _traceback(stacks: Any) -> list[str]:
    """The lines of an exception and of what caused it, each set in, so that none can be taken for another event."""
    if not isinstance(stacks, list):
        return [f"    {one_line(str(stacks))}"]
    lines = []
    for stack in stacks:
        lines.append(f"    {stack['exc_type']}: {one_line(stack['exc_value'])}")
        lines += [f"      {frame['filename']}:{frame['lineno']} in {frame['name']}" for frame in stack["frames"]]
        lines += [f"  {line}" for inner in stack["exceptions"] for line in _traceback(inner)]
    return lines


def _clean(_logger: object, _method: str, event: EventDict) -> EventDict:
    """An event of JSON values alone, with nothing secret in it."""
    cleaned: EventDict = _shown(event)
    return cleaned


def _shown(value: Any, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        return "…"
    match value:
        case None | bool():
            return value
        case int() | float() if abs(value) < _INT64:
            return value
        case Mapping():
            return {_text(str(key)): _item(str(key), item, depth) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_shown(item, depth + 1) for item in value]
        case _:
            return _text(_as_text(value))


def _item(name: str, value: Any, depth: int) -> Any:
    is_secret = _SECRET_NAME.search(name) and not isinstance(value, bool | None)
    return MASK if is_secret else _shown(value, depth + 1)


def _as_text(value: Any) -> str:
    match value:
        case bytes():
            return value.decode(errors="backslashreplace")
        case datetime():
            return value.isoformat()
        case _:
            return str(value)


def _text(text: str) -> str:
    text = PASSWORD.sub(rf"\1:{MASK}", masked(text))
    return _CREDENTIAL.sub(rf"\1{MASK}", text).encode(errors="backslashreplace").decode()
