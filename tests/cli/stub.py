"""An HTTP server that answers what it is told and remembers what it was asked."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Stub:
    """`answers` are given one after the other, the last one for ever: (status, body).

    A text is a stream of events, bytes are what no gateway says, and all else is JSON.
    """

    url: str
    answers: list[tuple[int, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)


@contextlib.contextmanager
def serving() -> Iterator[Stub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.stub = Stub(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.stub  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _content(answer: Any) -> tuple[str, bytes]:
    match answer:
        case bytes():
            return "text/html", answer
        case str():
            return "text/event-stream", answer.encode()
        case _:
            return "application/json", orjson.dumps(answer)


class _Handler(BaseHTTPRequestHandler):
    def answer(self) -> None:
        stub: Stub = self.server.stub  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        stub.asked.append(Asked(method=self.command, path=self.path, headers=headers, body=body))
        status, answer = stub.answers.pop(0) if len(stub.answers) > 1 else stub.answers[0]
        kind, content = _content(answer)
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **stub.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = answer  # noqa: N815 - the name that the standard library looks for
    do_POST = answer  # noqa: N815
    do_PUT = answer  # noqa: N815
    do_DELETE = answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Says nothing."""
