"""InfraAudit, in two dialects: that of its documentation, and that of its programs."""

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from aiohttp import web

from tests.systems.system import System

TOKEN = "infraaudit-token"
JOBS = ("7", "9")
STARTED = "2026-11-21T09:40:47Z"
RETRY_AFTER = 30

_Handle = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(kw_only=True)
class Execution:
    """Its statuses to come, one at each look."""

    id: int | str
    job: str
    course: deque[str]

    @property
    def status(self) -> str:
        return self.course[0]

    def go_on(self) -> None:
        if len(self.course) > 1:
            self.course.popleft()


@dataclass(kw_only=True)
class Dialect:
    """Where a job is started and looked at, what is shown of it, and how errors are told."""

    start: str
    execution: str
    new_id: Callable[[], int | str]
    course: Sequence[str]
    started: Callable[[Execution], dict[str, Any]]
    shown: Callable[[Execution], dict[str, Any]]
    unknown_job: int
    error: Callable[[str], dict[str, Any]]


def _documented(execution: Execution) -> dict[str, Any]:
    ended = {"ended_at": STARTED, "duration_ms": 222000, "findings_count": 3} if execution.status != "running" else {}
    return {"id": execution.id, "job_id": execution.job, "status": execution.status, "started_at": STARTED, **ended}


def _programmed(execution: Execution) -> dict[str, Any]:
    times = {"started_at": STARTED, "created_at": STARTED}
    owner = {"job_id": execution.job, "user_id": 1, "job_type": "drift_detection"}
    failed = {"error_message": "provider: no credentials"} if execution.status == "failed" else {}
    return {"id": execution.id, **owner, "status": execution.status, **times, **failed}


DOCUMENTATION = Dialect(
    start="/api/v1/jobs/{job}/trigger",
    execution="/api/v1/jobs/{job}/executions/{id}",
    new_id=iter(range(88, 10_000)).__next__,
    course=("running", "succeeded"),
    started=lambda execution: {"execution_id": execution.id, "status": execution.status, "started_at": STARTED},
    shown=_documented,
    unknown_job=404,
    error=lambda message: {"error": message, "code": "NOT_FOUND"},
)
PROGRAMS = Dialect(
    start="/api/v1/jobs/{job}/run",
    execution="/api/v1/executions/{id}",
    new_id=lambda: str(uuid4()),
    course=("running", "completed"),
    started=_programmed,
    shown=_programmed,
    unknown_job=400,
    error=lambda message: {"success": False, "error": message},
)


class InfraAudit(System):
    """Has two jobs; `limited` says how many of the next calls are too many, `courses` how the next executions go.

    Nothing keeps two of one job from running side by side; `most_of_a_job` and `most` are how many did so at once.
    """

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(
            [
                web.post(dialect.start, self._allowed(self._start)),
                web.get(dialect.execution, self._allowed(self._show)),
                web.post("/api/v1/executions/{id}/cancel", self._allowed(self._cancel)),
            ]
        )
        self.executions: dict[str, Execution] = {}
        self.courses: deque[Sequence[str]] = deque()
        self.most = self.most_of_a_job = 0
        self.limited = 0
        self._dialect = dialect

    def _allowed(self, handle: _Handle) -> _Handle:
        async def allowed(request: web.Request) -> web.Response:
            if self.limited:
                self.limited -= 1
                return web.json_response({"error": "rate limit exceeded", "retryAfter": RETRY_AFTER}, status=429)
            if request.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self._error(401, "unauthorized")
            return await handle(request)

        return allowed

    async def _start(self, request: web.Request) -> web.Response:
        job = request.match_info["job"]
        if job not in JOBS:
            return self._error(self._dialect.unknown_job, "job not found")
        course = self.courses.popleft() if self.courses else self._dialect.course
        execution = Execution(id=self._dialect.new_id(), job=job, course=deque(course))
        self.executions[str(execution.id)] = execution
        self._count()
        return web.json_response(self._dialect.started(execution), status=202)

    async def _show(self, request: web.Request) -> web.Response:
        execution = self.executions.get(request.match_info["id"])
        if execution is None:
            return self._error(404, "execution not found")
        shown = self._dialect.shown(execution)
        execution.go_on()
        return web.json_response(shown)

    async def _cancel(self, request: web.Request) -> web.Response:
        """Known to the programs only."""
        execution = self.executions.get(request.match_info["id"])
        if execution is None or self._dialect is DOCUMENTATION:
            return self._error(404, "execution not found")
        execution.course = deque(["cancelled"])
        return web.json_response({"message": "execution cancelled"})

    def _count(self) -> None:
        running = Counter(execution.job for execution in self.executions.values() if execution.status == "running")
        self.most = max(self.most, running.total())
        self.most_of_a_job = max(self.most_of_a_job, *running.values())

    def _error(self, status: int, message: str) -> web.Response:
        return web.json_response(self._dialect.error(message), status=status)
