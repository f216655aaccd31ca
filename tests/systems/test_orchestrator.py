"""The preset `orchestrator` against orchestrator-core as it was observed."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from tests.gateway_client import GatewayClient
from tests.systems.contract import AT_ONCE, Run, begin, finish, gateway, outcomes
from tests.systems.orchestrator import TOKEN, Orchestrator, Process, Workflow
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

BUSY = "Workflow 'task' already has 1 uncompleted instance(s)"
TWICE = {**AT_ONCE, "attempts": 2}
MANY_TIMES = {"delays": ["50ms"], "attempts": 1000}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def orchestrator() -> AsyncIterator[Orchestrator]:
    async with Orchestrator() as orchestrator:
        yield orchestrator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(orchestrator: Orchestrator, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayClient]:
    """Of a gateway whose targets start the workflow that is asked for, each in its own way."""

    def preset(**beside: Any) -> Mapping[str, Any]:
        given = {"url": orchestrator.url, "workflow": "{{ payload.workflow }}", "token": TOKEN}
        impatient = {"poll": {"every": "20ms"}, "retry": AT_ONCE, "breaker": {"failures": 1000}, "concurrency": 8}
        return {"preset": "orchestrator", **given, **impatient, **beside}

    async with gateway(
        tmp_path_factory.mktemp("orchestrator"),
        task=preset(),
        slow=preset(retry={"delays": ["300ms"]}),
        stubborn=preset(retry=MANY_TIMES),
        twice=preset(retry=TWICE),
        with_form=preset(pages=["{{ payload.page }}"]),
        without_pages=preset(pages=[]),
        without_list=preset(pages={}),
        without_token={name: value for name, value in preset().items() if name != "token"},
    ) as client:
        yield client


def known(orchestrator: Orchestrator, **behaviour: Any) -> str:
    """The name of a new workflow."""
    name = f"task_{len(orchestrator.workflows)}"
    orchestrator.workflows[name] = Workflow(**behaviour)
    return name


async def finished(client: GatewayClient, orchestrator: Orchestrator, **behaviour: Any) -> tuple[Run, Process]:
    """A run of a new workflow, and the one process that it made."""
    workflow = known(orchestrator, **behaviour)
    run = await finish(client, "task", workflow=workflow)
    [process] = orchestrator.of(workflow)
    return run, process


async def test_a_process_is_followed_to_its_end(client: GatewayClient, orchestrator: Orchestrator) -> None:
    run, process = await finished(client, orchestrator)

    assert (run["state"], run["output"]) == ("succeeded", {"process": process.id})
    assert process.created_by == run["id"].replace("-", "")
    assert run["progress"] == {"current": 3, "total": 3, "percent": None}


@pytest.mark.parametrize("status", ["waiting", "awaiting_callback"])
async def test_what_is_no_end_is_waited_for(client: GatewayClient, orchestrator: Orchestrator, status: str) -> None:
    run, _ = await finished(client, orchestrator, course=("created", status, status, "running", "completed"))

    assert outcomes(run) == ["succeeded"]


@pytest.mark.parametrize("status", ["failed", "api_unavailable", "inconsistent_data"])
async def test_a_failed_process_is_resumed_instead_of_started_again(
    client: GatewayClient, orchestrator: Orchestrator, status: str
) -> None:
    run, process = await finished(client, orchestrator, course=("running", status))

    assert (run["state"], len(run["attempts"])) == ("succeeded", 2)
    assert f"the job failed: {status}" in run["attempts"][0]["reason"]
    assert orchestrator.requests.count(f"PUT /api/processes/{process.id}/resume") == 1


@pytest.mark.parametrize(
    ("status", "reason"), [("suspended", "suspended, it waits for somebody to fill in a form"), ("aborted", "aborted")]
)
async def test_what_people_have_a_hand_in_is_left_to_them(
    client: GatewayClient, orchestrator: Orchestrator, status: str, reason: str
) -> None:
    run, process = await finished(client, orchestrator, course=("running", status))

    assert (run["state"], len(run["attempts"])) == ("failed", 1)
    assert f"the job failed: {reason}" in run["reason"]
    assert process.status == status


@pytest.mark.parametrize(
    ("target", "behaviour", "statuses"),
    [
        ("without-pages", {}, [510]),
        ("without-list", {}, [422]),
        ("task", {"fields": {"product"}}, [400]),
        ("without-token", {}, [401]),
        ("twice", {"broken": True}, [500, 500]),
        ("twice", {"refusal": BUSY}, [412, 412]),
    ],
)
async def test_refusals_are_final_or_tried_again(
    client: GatewayClient, orchestrator: Orchestrator, target: str, behaviour: dict[str, Any], statuses: list[int]
) -> None:
    run = await finish(client, target, workflow=known(orchestrator, **behaviour))

    assert run["state"] == "failed"
    assert [attempt["status"] for attempt in run["attempts"]] == statuses


@pytest.mark.parametrize(("workflow", "status"), [("nonsense", 404), ("nonsense/", 307)])
async def test_a_workflow_that_is_not_there_is_final(client: GatewayClient, workflow: str, status: int) -> None:
    run = await finish(client, "task", workflow=workflow)

    assert [attempt["status"] for attempt in run["attempts"]] == [status]


async def test_forms_are_filled_in_from_the_payload(client: GatewayClient, orchestrator: Orchestrator) -> None:
    workflow = known(orchestrator, fields={"product"})
    run = await finish(client, "with-form", workflow=workflow, page={"product": "L2VPN"})

    assert run["state"] == "succeeded"


async def test_it_begins_once_nothing_keeps_it_from_that(client: GatewayClient, orchestrator: Orchestrator) -> None:
    """Neither another process nor a locked engine."""
    workflow = known(orchestrator, refusal=BUSY)
    run_id = await begin(client, "stubborn", workflow=workflow)
    await _attempt(client, run_id, status=412)
    orchestrator.locked, orchestrator.workflows[workflow].refusal = True, None
    await _attempt(client, run_id, status=503)
    orchestrator.locked = False
    await client.wait_for(run_id, "succeeded")

    assert len(orchestrator.of(workflow)) == 1


async def _attempt(client: GatewayClient, run_id: str, *, status: int) -> None:
    async def made() -> bool:
        return any(attempt["status"] == status for attempt in (await client.run(run_id))["attempts"])

    await until(made, True, f"an attempt that is answered with {status}")


async def test_a_start_whose_answer_was_lost_is_found_again(client: GatewayClient, orchestrator: Orchestrator) -> None:
    """And no younger process of somebody whose name has parts in common with the run's id."""
    workflow = known(orchestrator)
    orchestrator.lost_answers = 1
    run_id = await begin(client, "slow", workflow=workflow)
    await client.wait_for(run_id, "retrying")
    [ours] = orchestrator.of(workflow)
    other = orchestrator.begin(workflow, run_id)
    run = await client.wait_for(run_id, "succeeded")

    assert run["output"] == {"process": ours.id}
    assert orchestrator.of(workflow) == [ours, other]


async def test_a_cancelled_run_aborts_its_process(client: GatewayClient, orchestrator: Orchestrator) -> None:
    workflow = known(orchestrator, course=("running",))
    run_id = await begin(client, "task", workflow=workflow)

    async def started() -> int:
        return len(orchestrator.of(workflow))

    await until(started, 1, "processes")
    await client.do(f"runs/{run_id}/cancel")
    await client.wait_for(run_id, "cancelled")

    [process] = orchestrator.of(workflow)
    assert process.status == "aborted"
