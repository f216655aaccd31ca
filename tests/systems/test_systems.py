"""The systems that stand in for the real ones do what was observed of those, also where the presets do not come by."""

from typing import Any

import pytest

from tests.gateway_client import GatewayClient, Reply
from tests.systems.orchestrator import TOKEN, Orchestrator, Workflow
from tests.systems.proxbox_api import KEY, MAX_BAD_KEYS, ProxboxApi
from tests.systems.system import System

NOBODY = "00000000-0000-4000-8000-000000000000"


async def ask(system: System, method: str, path: str, *, key: str = KEY, **arguments: Any) -> Reply:
    """What it answers to one who proves himself, to proxbox-api with this key."""
    proof = {"Authorization": f"Bearer {TOKEN}", "X-Proxbox-API-Key": key}
    async with GatewayClient(system.url) as client:
        return await client.request(method, path, headers=proof, allow_redirects=False, **arguments)


async def test_proxbox_locks_even_the_right_key_out() -> None:
    async with ProxboxApi() as proxbox:
        bad = [await ask(proxbox, "GET", "/sync/active", key="bad") for _ in range(MAX_BAD_KEYS)]
        right = await ask(proxbox, "GET", "/sync/active")
        health = await ask(proxbox, "GET", "/health")

    assert [reply.status for reply in bad] == [401] * MAX_BAD_KEYS
    assert bad[0].json == {"detail": "Invalid API key. 4 attempts remaining."}
    assert (right.status, right.headers["Retry-After"]) == (429, "300")
    assert (health.status, health.json) == (200, {"status": "ready", "init_ok": True})


async def test_proxbox_takes_one_key() -> None:
    async with ProxboxApi(key=None) as proxbox:
        without = await ask(proxbox, "GET", "/sync/active")
        registered = [await ask(proxbox, "POST", "/auth/register-key", json={"api_key": KEY}) for _ in range(2)]
        active = await ask(proxbox, "GET", "/sync/active")

    assert without.json["detail"].startswith("No API key configured.")
    assert [reply.status for reply in registered] == [201, 409]
    assert active.json == {"active": False, "started_at": None, "id": None, "kind": None, "runs": []}


@pytest.mark.parametrize(
    ("method", "path", "arguments", "status", "said"),
    [
        ("POST", "/api/processes/task", {}, 422, "missing"),
        ("POST", "/api/processes/task", {"json": {}}, 422, "list_type"),
        ("POST", "/api/processes/task", {"json": []}, 510, "FormNotCompleteError"),
        ("POST", "/api/processes/task", {"json": [{"unknown": 1}]}, 400, "FormValidationError"),
        ("POST", "/api/processes/other", {"json": [{}]}, 404, "Workflow does not exist"),
        ("POST", "/api/processes/broken", {"json": [{}]}, 500, "Internal Server Error"),
        ("GET", f"/api/processes/{NOBODY}", {}, 404, "not found"),
        ("GET", "/api/processes/7", {}, 422, "uuid"),
        ("GET", "/api/processes/?filter=createdBy", {}, 400, "Invalid number of filter arguments"),
        ("GET", "/api/health/", {}, 200, "OK"),
    ],
)
async def test_the_orchestrator_answers(
    *, method: str, path: str, arguments: dict[str, Any], status: int, said: str
) -> None:
    async with Orchestrator() as orchestrator:
        orchestrator.workflows |= {"task": Workflow(), "broken": Workflow(broken=True)}
        reply = await ask(orchestrator, method, path, **arguments)

    assert reply.status == status
    assert said in reply.body.decode()


async def test_the_orchestrator_filters_by_any_part_of_a_value() -> None:
    async with Orchestrator() as orchestrator:
        orchestrator.workflows["task"] = Workflow()
        one, other = (orchestrator.begin("task", name) for name in ("0198c0de-7000-aaaa", "0198c0df-7000-bbbb"))

        async def found(value: str) -> list[str]:
            reply = await ask(orchestrator, "GET", f"/api/processes/?filter=createdBy,{value}")
            return [process["process_id"] for process in reply.json]

        assert await found(one.created_by) == [other.id, one.id]
        assert await found("aaaa") == [one.id]
        assert await found("cccc") == []


async def test_the_orchestrator_resumes_what_has_failed_and_aborts_whatever_there_is() -> None:
    async with Orchestrator() as orchestrator:
        orchestrator.workflows |= {name: Workflow(course=(name,)) for name in ("failed", "completed", "running")}
        processes = [orchestrator.begin(name, "SYSTEM") for name in orchestrator.workflows]

        async def put(action: str) -> list[int]:
            paths = [f"/api/processes/{process.id}/{action}" for process in processes]
            return [(await ask(orchestrator, "PUT", path, json=[{}])).status for path in paths]

        assert await put("resume") == [204, 409, 409]
        assert await put("abort") == [204, 204, 204]
