"""The HTTP client of the commands: one request per connection, no redirects, and errors that say what to do."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, responses
from socket import socket
from typing import Any, Self
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import orjson

from gateway.cli.failure import Exit, Failure, Unreachable
from gateway.cli.stream import STREAM, Event, read_events
from gateway.core.printable import one_line

DEFAULT_URL = "http://127.0.0.1:8080"
TIMEOUT = 30
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_START = "Start one with `gateway serve`, or say where it is in GATEWAY_URL."
_NOBODY = "\nSay who you are: set GATEWAY_TOKEN."
_STRANGE = "It answers, but not as a gateway does. Is GATEWAY_URL right?"
_STRANGER = "\nIt is the one in GATEWAY_TOKEN."
_CONNECTIONS = {"http": HTTPConnection, "https": HTTPSConnection}


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTTP server said."""

    status: int
    content_type: str
    body: bytes

    @property
    def kind(self) -> str:
        return self.content_type.partition(";")[0].strip()

    @property
    def is_json(self) -> bool:
        return self.kind in ("application/json", "application/problem+json")

    @property
    def is_success(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    def json(self) -> Any:
        """The parsed body. Raises `ValueError`."""
        return orjson.loads(self.body)


def exchange(method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
    """One request. Raises `Failure` where no HTTP server answers."""
    with _answering(method, url, headers, body) as (response, _):
        return _read(response)


@contextmanager
def _answering(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
) -> Iterator[tuple[HTTPResponse, socket]]:
    """A response that is not read yet, and the connection on which it comes."""
    parts = _split(url)
    try:
        with closing(_CONNECTIONS[parts.scheme](parts.hostname or "", parts.port, timeout=TIMEOUT)) as connection:
            connection.request(method, parts._replace(scheme="", netloc="").geturl() or "/", body, dict(headers))
            open_socket = connection.sock
            yield connection.getresponse(), open_socket
    except (OSError, HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        where = one_line(f"{parts.scheme}://{parts.netloc}")
        message = f"No gateway answers at {where}: {one_line(reason)}.\n{_START}"
        raise Unreachable(message) from error


def _read(response: HTTPResponse) -> Answer:
    return Answer(response.status, response.headers.get("Content-Type", ""), response.read())


@dataclass(frozen=True, slots=True)
class Client:
    """Talks to the API of one gateway; every method raises `Failure` unless the gateway does what it is asked.

    The `reason` is for its audit trail.
    """

    url: str
    token: str | None = None
    reason: str | None = None

    @classmethod
    def from_environment(cls, *, reason: str | None = None) -> Self:
        token = os.environ.get("GATEWAY_TOKEN") or None
        if token and not (token.isascii() and token.isprintable()):
            raise Failure("GATEWAY_TOKEN holds characters that no header can.", Exit.USAGE)
        return cls(os.environ.get("GATEWAY_URL") or DEFAULT_URL, token, reason)

    def get(self, *path: str, **query: str | int | None) -> Any:
        """What the API shows at `/api/v1/` and these steps."""
        wanted = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", path, f"?{urlencode(wanted)}" if wanted else "")

    def text(self, *path: str) -> str:
        """The same where it is plain text."""
        answer = exchange("GET", self._address(path), self._headers("text/plain"))
        if not answer.is_success or answer.kind != "text/plain":
            self._accepted(answer)
            raise Unreachable(_STRANGE)
        return answer.body.decode(errors="replace")

    def follow(self, *path: str, last_id: str | None, patience: Callable[[], float]) -> Iterator[Event | None]:
        """The events of a stream after `last_id`, `None` for silence; no event for `patience` seconds is its end."""
        headers = self._headers(STREAM) | ({"Last-Event-ID": last_id} if last_id else {})
        with _answering("GET", f"{self._address(path)}?follow=1", headers) as (response, connection):
            if response.headers.get_content_type() == STREAM:
                yield from read_events(response, lambda: connection.settimeout(patience()))
            else:
                self._accepted(_read(response))
                raise Unreachable(_STRANGE)

    def post(self, *path: str, body: Mapping[str, Any]) -> Any:
        return self._ask("POST", path, body=orjson.dumps(body))

    def put(self, *path: str, body: Mapping[str, Any]) -> Any:
        return self._ask("PUT", path, body=orjson.dumps(body))

    def delete(self, *path: str) -> None:
        self._ask("DELETE", path)

    def _ask(self, method: str, path: tuple[str, ...], query: str = "", body: bytes | None = None) -> Any:
        headers = self._headers("application/json") | ({"Content-Type": "application/json"} if body else {})
        return self._accepted(exchange(method, f"{self._address(path)}{query}", headers, body))

    def _address(self, path: tuple[str, ...]) -> str:
        steps = "/".join(quote(os.fsencode(step), safe="") for step in path)
        return f"{self.url.rstrip('/')}/api/v1/{steps}"

    def _headers(self, accept: str) -> dict[str, str]:
        who = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        why = {"X-Reason": self.reason.encode().decode("latin-1")} if self.reason else {}  # UTF-8 on the wire
        return {"Accept": accept, **who, **why}

    def _accepted(self, answer: Answer) -> Any:
        return accepted(answer, about_401=_STRANGER if self.token else _NOBODY)


def accepted(answer: Answer, *, about_401: str = "") -> Any:
    """The JSON object of a 2xx answer, `None` for one that has nothing to say.

    Raises `Failure` for any other; what is `about_401` goes with a 401.
    """
    if answer.status == HTTPStatus.NO_CONTENT:
        return None
    try:
        document = answer.json() if answer.is_json else None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        status = f"{answer.status} {responses.get(answer.status, '')}".strip()
        raise Unreachable(f"It answers {status}, but not as a gateway does. Is GATEWAY_URL right?")
    if answer.is_success:
        return document
    hint = about_401 if answer.status == HTTPStatus.UNAUTHORIZED else ""
    raise _refusal(answer.status, _problem(document) + hint)


def _refusal(status: int, message: str) -> Failure:
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return Unreachable(message)
    serves_nobody = status in _REFUSED or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return Failure(message, Exit.UNREACHABLE if serves_nobody else Exit.USAGE)


def _problem(document: Mapping[str, Any]) -> str:
    """An RFC 9457 document in words."""
    texts = [one_line(str(document[name])) for name in ("title", "detail") if document.get(name)]
    errors = document.get("errors")
    lines = [_field_error(error) for error in errors] if isinstance(errors, list) else []
    return "\n".join([": ".join(texts) or "The gateway refuses", *lines])


def _field_error(error: Any) -> str:
    if not isinstance(error, dict):
        return f"  {one_line(str(error))}"
    parts = (one_line(str(error[name])) for name in ("path", "message") if error.get(name))
    return f"  {': '.join(parts)}"


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in _CONNECTIONS and bool(parts.hostname) and parts.port != 0 and not parts.username
    except ValueError:
        is_usable = False
    if not is_usable or not url.isascii() or not url.isprintable() or " " in url:
        raise Failure(f"GATEWAY_URL: expected http://HOST:PORT, got {one_line(url)}", Exit.USAGE)
    return parts
