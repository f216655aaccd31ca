"""proxbox-api: its key and the lock behind it, its limits, and full updates as streams of events."""

import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from aiohttp import web

from tests.systems import proxbox_stream
from tests.systems.system import System
from tests.target_answer import Answer

KEY = "k" * 32
MAX_BAD_KEYS = 5
LOCKED = 300  # seconds
WINDOW = 60  # seconds, of the limit
_NOT_CONFIGURED = "No API key configured. Register a key via POST /auth/register-key before using the API."
_LOCKED = "Too many failed authentication attempts. Please try again later."
_LIMITED = "Rate limit exceeded. Please try again later."

_Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


def refused(status: int, message: str, detail: Any, exception: str | None = None) -> Answer:
    """What is answered before there is a stream."""
    return Answer.of_json({"message": message, "detail": detail, "python_exception": exception}, status=status)


NO_NETBOX = refused(400, "No NetBox endpoint found", "Please add a NetBox endpoint in the database")
NO_PROXMOX = refused(
    502,
    "Could not return Proxmox Sessions",
    {"reason": "proxmox_session_acquisition_failed", "error_type": "ProxboxException"},
    "ProxboxException",
)
BROKEN = refused(500, "Internal server error", "An unexpected error occurred.")


class ProxboxApi(System):
    """`updates` says how the next full updates go, each further one goes well.

    `active` are the syncs that run, also those that others started: nothing keeps two from running side by side.
    """

    def __init__(self, *, key: str | None = KEY, limit: int = 300) -> None:
        super().__init__(
            [
                web.get("/health", self._health),
                web.post("/auth/register-key", self._register),
                web.get("/sync/active", self._guarded(self._active)),
                web.get("/full-update/stream", self._guarded(self._stream)),
            ]
        )
        self.key = key
        self.updates: deque[Answer] = deque()
        self.queries: list[dict[str, str]] = []
        self.active: list[dict[str, str]] = []
        self.bad_keys = 0
        self._limit = limit
        self._locked_until = 0.0
        self._calls: deque[float] = deque()

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ready", "init_ok": True})

    async def _register(self, request: web.Request) -> web.Response:
        if self.key is not None:
            return web.json_response({"detail": "An API key is registered already."}, status=409)
        self.key = (await request.json())["api_key"]
        return web.json_response({"detail": "API key registered."}, status=201)

    def _guarded(self, handle: _Handle) -> _Handle:
        """The limit stands before the key."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            return self._over_limit() or self._without_key(request) or await handle(request)

        return guarded

    def _over_limit(self) -> web.Response | None:
        now = time.monotonic()
        while self._calls and self._calls[0] < now - WINDOW:
            self._calls.popleft()
        if len(self._calls) >= self._limit:
            return _later(_LIMITED, WINDOW)
        self._calls.append(now)
        return None

    def _without_key(self, request: web.Request) -> web.Response | None:
        if time.monotonic() < self._locked_until:
            return _later(_LOCKED, LOCKED)
        given = request.headers.get("X-Proxbox-API-Key")
        if self.key is None:
            return _unauthorized(_NOT_CONFIGURED)
        if given is None:
            return _unauthorized(f"API key required. {MAX_BAD_KEYS - self.bad_keys} attempts remaining.")
        return None if given == self.key else self._bad_key()

    def _bad_key(self) -> web.Response:
        self.bad_keys += 1
        if self.bad_keys >= MAX_BAD_KEYS:
            self.lock_out()
        return _unauthorized(f"Invalid API key. {MAX_BAD_KEYS - self.bad_keys} attempts remaining.")

    def lock_out(self) -> None:
        """Whoever calls, with whatever key."""
        self._locked_until = time.monotonic() + LOCKED

    async def _active(self, _: web.Request) -> web.Response:
        oldest = self.active[0] if self.active else {"started_at": None, "id": None, "kind": None}
        return web.json_response({"active": bool(self.active), **oldest, "runs": self.active})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        self.queries.append(dict(request.query))
        answer = self.updates.popleft() if self.updates else proxbox_stream.successful()
        with self.syncing():
            return await answer.send(request)

    @contextmanager
    def syncing(self) -> Iterator[None]:
        """A sync runs, whoever started it."""
        sync = {
            "started_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "id": str(uuid4()),
            "kind": "full-update",
        }
        self.active.append(sync)
        try:
            yield
        finally:
            self.active.remove(sync)


def _unauthorized(detail: str) -> web.Response:
    return web.json_response({"detail": detail}, status=401)


def _later(detail: str, seconds: int) -> web.Response:
    return web.json_response({"detail": detail}, status=429, headers={"Retry-After": str(seconds)})
