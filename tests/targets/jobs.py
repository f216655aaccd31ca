"""A target whose calls start jobs that go on: what it is asked, and what it says of each."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.target_answer import Answer
from tests.target_server import Call


@dataclass(slots=True)
class Job:
    """`states` are what its looks show, one each; the last one stays."""

    id: str
    by: str
    states: list[str]


@dataclass(slots=True)
class Jobs:
    """They start with `POST /jobs?by=…`; `course` are the states of each, `troubles` what looks meet before them."""

    course: list[str] = field(default_factory=lambda: ["running", "done"])
    resumed: list[str] = field(default_factory=lambda: ["running", "done"])
    troubles: list[Answer] = field(default_factory=list)
    is_ready: bool = True
    cancels: bool = True
    all: list[Job] = field(default_factory=list)

    def answer(self, call: Call) -> Answer:
        path, _, query = call.path.partition("?")
        match call.method, path.strip("/").split("/"):
            case "GET", ["ready"]:
                return _said(200 if self.is_ready else 503, {"ready": self.is_ready})
            case "POST", ["jobs"]:
                self.all.append(Job(f"job-{len(self.all) + 1}", query.removeprefix("by="), list(self.course)))
                return _said(201, {"id": self.all[-1].id})
            case "GET", ["jobs"]:
                return _said(200, [{"id": job.id} for job in reversed(self.all) if job.by == query.removeprefix("by=")])
            case method, ["jobs", job_id, *rest]:
                found = next((job for job in self.all if job.id == job_id), None)
                return self._about(found, method, rest) if found else _said(404, {"detail": "no such job"})
        return _said(405, None)

    def _about(self, job: Job, method: str, rest: list[str]) -> Answer:
        match method, rest:
            case "GET", []:
                if self.troubles:
                    return self.troubles.pop(0)
                state = job.states.pop(0) if len(job.states) > 1 else job.states[0]
                return _said(200, {"id": job.id, "state": state, "progress": {"current": 1, "total": 4}, "why": "disk"})
            case "PUT", ["abort"] if self.cancels:
                job.states = ["aborted"]
                return _said(200, {})
            case "PUT", ["resume"]:
                job.states = list(self.resumed)
                return _said(200, {})
        return _said(409, {"detail": "not now"})


def _said(status: int, value: Any) -> Answer:
    return Answer(status=status, headers={"Content-Type": "application/json"}, body=orjson.dumps(value))


def followed(url: str, **changes: Any) -> dict[str, Any]:
    """The keys of a target that follows these jobs."""
    poll = {
        "url": f"{url}/jobs/{{{{ started.json.id }}}}",
        "every": "20ms",
        "succeeded": "response.json.state == 'done'",
        "failed": "response.json.state in ['failed', 'aborted']",
        "find": {"url": f"{url}/jobs?by={{{{ run.id }}}}", "id": "{{ response.json[0].id }}"},
        **changes.pop("poll", {}),
    }
    return {
        "url": f"{url}/jobs?by={{{{ run.id }}}}",
        "poll": {name: value for name, value in poll.items() if value is not None},
        "cancel": {"method": "PUT", "url": f"{url}/jobs/{{{{ started.json.id }}}}/abort"},
        **changes,
    }
