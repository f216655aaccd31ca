"""orchestrator-core: processes that go on after their start was answered, and can be resumed where they failed."""

import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from aiohttp import web

from tests.systems.system import System
from tests.target_answer import Answer

TOKEN = "orchestrator-token"
STEPS = ("Start", "Validate", "Done")
_FINAL = {"completed", "failed", "api_unavailable", "inconsistent_data", "aborted"}
_NOT_RESUMABLE = ("completed", "running", "resumed")
_TITLES = {
    404: "Not Found",
    400: "Bad Request",
    409: "Conflict",
    412: "Precondition Failed",
    503: "Service Unavailable",
}

_Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(kw_only=True)
class Workflow:
    """`course` are the statuses that its processes take, one at each look; `resumed` those after they were resumed."""

    fields: Collection[str] = ()
    refusal: str | None = None
    broken: bool = False
    course: Sequence[str] = ("created", "running", "completed")
    resumed: Sequence[str] = ("resumed", "running", "completed")


@dataclass(kw_only=True)
class Process:
    workflow: str
    created_by: str
    course: deque[str]
    id: str = field(default_factory=lambda: str(uuid4()))
    started_at: float = field(default_factory=time.time)

    @property
    def status(self) -> str:
        return self.course[0]

    @property
    def shown(self) -> dict[str, Any]:
        done = len(STEPS) if self.status == "completed" else 1
        return {
            "process_id": self.id,
            "workflow_name": self.workflow,
            "is_task": True,
            "created_by": self.created_by,
            "failed_reason": "ApiException: no answer" if self.status == "failed" else None,
            "started_at": self.started_at,
            "last_modified_at": time.time(),
            "last_status": self.status,
            "last_step": STEPS[done - 1],
            "assignee": "SYSTEM",
            "traceback": None,
            "subscriptions": [],
            "steps": [
                {"name": name, "status": "success" if number < done else "pending"} for number, name in enumerate(STEPS)
            ],
            "form": {"title": "Confirm"} if self.status == "suspended" else None,
        }

    def go_on(self) -> None:
        if len(self.course) > 1:
            self.course.popleft()


class Orchestrator(System):
    """Knows the `workflows` that it is given; `locked` is what `PUT /api/settings/status` makes of its engine.

    The answers to the next `lost_answers` starts get lost on their way.
    """

    def __init__(self) -> None:
        super().__init__(
            [
                web.get("/api/health/", self._health),
                web.post("/api/processes/{workflow}", self._allowed(self._start)),
                web.post("/api/processes/{workflow}/", _without_slash),
                web.get("/api/processes/", self._allowed(self._list)),
                web.get("/api/processes/{id}", self._allowed(self._show)),
                web.put("/api/processes/{id}/resume", self._allowed(self._resume)),
                web.put("/api/processes/{id}/abort", self._allowed(self._abort)),
            ]
        )
        self.workflows: dict[str, Workflow] = {}
        self.processes: dict[str, Process] = {}
        self.locked = False
        self.lost_answers = 0

    def of(self, workflow: str) -> list[Process]:
        """The processes of a workflow, in the order of their start."""
        return [process for process in self.processes.values() if process.workflow == workflow]

    def begin(self, workflow: str, created_by: str) -> Process:
        """A process that somebody starts."""
        course = deque(self.workflows[workflow].course)
        process = Process(workflow=workflow, created_by=created_by, course=course)
        self.processes[process.id] = process
        return process

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response("OK")

    def _allowed(self, handle: _Handle) -> _Handle:
        async def allowed(request: web.Request) -> web.StreamResponse:
            if request.headers.get("Authorization") != f"Bearer {TOKEN}":
                return web.json_response({"detail": "Not authenticated"}, status=401)
            return await handle(request)

        return allowed

    async def _start(self, request: web.Request) -> web.StreamResponse:
        pages = await request.json() if request.can_read_body else None
        name = request.match_info["workflow"]
        refusal = self._refusal(name, pages)
        if refusal is not None:
            return refusal
        process = self.begin(name, request.query.get("reporter", "SYSTEM"))
        if self.lost_answers:
            self.lost_answers -= 1
            return await Answer(reset=True).send(request)
        return web.json_response({"id": process.id}, status=201)

    def _refusal(self, name: str, pages: Any) -> web.Response | None:
        workflow = self.workflows.get(name)
        if self.locked:
            return _problem(503, "Engine is locked cannot accept changes on processes at this time")
        if not isinstance(pages, list):
            return _unprocessable("missing" if pages is None else "list_type", ["body"])
        if workflow is None:
            return _problem(404, "Workflow does not exist")
        if workflow.refusal is not None:
            return _problem(412, workflow.refusal)
        if workflow.broken:
            return web.Response(status=500, text="Internal Server Error")
        return _form_problem(workflow, pages)

    async def _show(self, request: web.Request) -> web.Response:
        process = self._looked_up(request)
        if isinstance(process, web.Response):
            return process
        shown = process.shown
        process.go_on()
        return web.json_response(shown)

    async def _list(self, request: web.Request) -> web.Response:
        words = request.query["filter"].split(",") if "filter" in request.query else []
        if len(words) % 2:
            return _problem(400, "Invalid number of filter arguments")
        found = [process for process in reversed(self.processes.values()) if _matches(process, words)]
        return web.json_response([process.shown for process in found])

    async def _resume(self, request: web.Request) -> web.Response:
        process = self._looked_up(request)
        if isinstance(process, web.Response):
            return process
        if self.locked:
            return _problem(503, "Engine is locked cannot accept changes on processes at this time")
        if process.status in _NOT_RESUMABLE:
            return _problem(409, f"Resuming a {process.status} workflow is not possible")
        process.course = deque(self.workflows[process.workflow].resumed)
        return web.Response(status=204)

    async def _abort(self, request: web.Request) -> web.Response:
        process = self._looked_up(request)
        if isinstance(process, web.Response):
            return process
        process.course = deque(["aborted"])
        return web.Response(status=204)

    def _looked_up(self, request: web.Request) -> Process | web.Response:
        given = request.match_info["id"]
        try:
            known = self.processes.get(str(UUID(given)))
        except ValueError:
            return _unprocessable("uuid_parsing", ["path", "process_id"])
        return known or _problem(404, f"Process with process_id {given} not found")


async def _without_slash(request: web.Request) -> web.Response:
    return web.Response(status=307, headers={"Location": request.path.rstrip("/")})


def _matches(process: Process, words: list[str]) -> bool:
    """Any part of a value between hyphens, anywhere in a field, is a match; only values of ids are taken whole."""
    fields = {"workflowName": process.workflow, "createdBy": process.created_by, "processId": process.id}
    for name, value in zip(words[::2], words[1::2], strict=True):
        parts = [value] if name.lower().endswith("id") else re.split(r"[-|]", value)
        if not any(part.lower() in fields[name].lower() for part in parts if part):
            return False
    return True


def _form_problem(workflow: Workflow, pages: list[Any]) -> web.Response | None:
    if not pages:
        body = {"type": "FormNotCompleteError", "title": "Form not complete", "status": 510, "form": {}, "meta": None}
        return web.json_response({**body, "detail": "Form not complete"}, status=510)
    if set(pages[0]) != set(workflow.fields):
        body = {"type": "FormValidationError", "title": "Form not valid", "status": 400, "detail": "1 validation error"}
        return web.json_response({**body, "validation_errors": [{"type": "missing"}]}, status=400)
    return None


def _problem(status: int, detail: str) -> web.Response:
    return web.json_response({"detail": detail, "status": status, "title": _TITLES[status]}, status=status)


def _unprocessable(kind: str, place: list[str]) -> web.Response:
    return web.json_response({"detail": [{"type": kind, "loc": place, "msg": "", "input": None}]}, status=422)
