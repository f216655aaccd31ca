"""The preset `infraaudit` against both of its dialects."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from tests.gateway_client import GatewayClient
from tests.systems.contract import AT_ONCE, begin, finish, gateway, seconds_until_due
from tests.systems.infraaudit import DOCUMENTATION, JOBS, PROGRAMS, TOKEN, InfraAudit
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

AS_PROGRAMMED = {
    "start": "/api/v1/jobs/{{ payload.job }}/run",
    "executions": "/api/v1/executions",
    "id": "id",
    "succeeded": ["completed"],
    "failed": ["failed", "cancelled"],
}
DIALECTS = ("documented", "programmed")

Systems = Mapping[str, InfraAudit]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def systems() -> AsyncIterator[Systems]:
    async with InfraAudit(DOCUMENTATION) as documented, InfraAudit(PROGRAMS) as programmed:
        yield {"documented": documented, "programmed": programmed}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(systems: Systems, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayClient]:
    """Of a gateway with a target for each dialect, one that cannot prove itself, and one as patient as the preset."""

    def preset(dialect: str, **beside: Any) -> Mapping[str, Any]:
        url = systems[dialect].url
        cancel = {"method": "POST", "url": f"{url}/api/v1/executions/{{{{ started.json.id }}}}/cancel"}
        own = {**AS_PROGRAMMED, "cancel": cancel} if dialect == "programmed" else {}
        given = {"url": url, "token": TOKEN, "job": "{{ payload.job }}", "poll": {"every": "20ms"}}
        return {"preset": "infraaudit", **given, "retry": {**AT_ONCE, "attempts": 2}, **own, **beside}

    async with gateway(
        tmp_path_factory.mktemp("infraaudit"),
        documented=preset("documented"),
        programmed=preset("programmed"),
        stranger=preset("documented", token="another"),
        patient=preset("documented", retry={}),
    ) as client:
        yield client


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_execution_is_followed_to_its_end(client: GatewayClient, systems: Systems, dialect: str) -> None:
    run = await finish(client, dialect, job=7)

    execution = [*systems[dialect].executions.values()][-1]
    assert (run["state"], run["output"]) == ("succeeded", {"execution": execution.id})


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_failed_execution_is_followed_by_another(client: GatewayClient, systems: Systems, dialect: str) -> None:
    system = systems[dialect]
    before = len(system.executions)
    system.courses.append(("running", "failed"))
    run = await finish(client, dialect, job=7)

    assert (run["state"], len(run["attempts"])) == ("succeeded", 2)
    assert "the job failed: failed" in run["attempts"][0]["reason"]
    assert len(system.executions) == before + 2


async def test_what_a_program_says_of_a_failure_is_the_reason(client: GatewayClient, systems: Systems) -> None:
    systems["programmed"].courses.extend([("running", "failed"), ("running", "cancelled")])
    run = await finish(client, "programmed", job=7)

    assert [attempt["reason"] for attempt in run["attempts"]] == [
        "the job failed: failed: provider: no credentials",
        "the job failed: cancelled",
    ]


@pytest.mark.parametrize(
    ("target", "job", "status"), [("documented", 8, 404), ("programmed", 8, 400), ("stranger", 7, 401)]
)
async def test_what_is_refused_is_final(client: GatewayClient, target: str, job: int, status: int) -> None:
    run = await finish(client, target, job=job)

    assert run["state"] == "failed"
    assert [attempt["status"] for attempt in run["attempts"]] == [status]


async def test_too_many_requests_are_left_off_for_half_a_minute(client: GatewayClient, systems: Systems) -> None:
    """Which only the body asks for."""
    systems["documented"].limited = 1
    run_id = await begin(client, "patient", job=7)
    run = await client.wait_for(run_id, "retrying")
    await client.do(f"runs/{run_id}/cancel")

    assert run["attempts"][0]["status"] == 429
    assert seconds_until_due(run) > 29


async def test_executions_of_one_job_follow_each_other_those_of_others_run_beside_them(
    client: GatewayClient, systems: Systems
) -> None:
    system = systems["programmed"]
    system.courses.extend([("running",) * 10 + ("completed",)] * 4)
    await asyncio.gather(*(finish(client, "programmed", job=job) for job in (*JOBS, *JOBS)))

    assert system.most_of_a_job == 1
    assert system.most == len(JOBS)


async def test_a_cancelled_run_ends_its_execution(client: GatewayClient, systems: Systems) -> None:
    system = systems["programmed"]
    system.courses.append(("running",))
    before = len(system.executions)
    run_id = await begin(client, "programmed", job=7)

    async def started() -> int:
        return len(system.executions) - before

    await until(started, 1, "executions")
    await client.do(f"runs/{run_id}/cancel")
    await client.wait_for(run_id, "cancelled")

    assert [*system.executions.values()][-1].status == "cancelled"
