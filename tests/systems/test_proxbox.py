"""The preset `proxbox` against proxbox-api as it was observed."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from tests.gateway_client import GatewayClient
from tests.systems import proxbox_stream as stream
from tests.systems.contract import AT_ONCE, begin, finish, gateway, outcomes, seconds_until_due
from tests.systems.proxbox_api import BROKEN, KEY, LOCKED, MAX_BAD_KEYS, NO_NETBOX, NO_PROXMOX, WINDOW, ProxboxApi
from tests.target_answer import Answer
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

STREAM = "GET /full-update/stream"
TWICE = {**AT_ONCE, "attempts": 2}

Systems = Mapping[str, ProxboxApi]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def systems() -> AsyncIterator[Systems]:
    """One that knows the key, and some with which there is a difficulty."""
    systems = {
        "usual": ProxboxApi(),
        "other-key": ProxboxApi(key="o" * 32),
        "without-key": ProxboxApi(key=None),
        "locked": ProxboxApi(),
        "limited": ProxboxApi(limit=0),
    }
    async with AsyncExitStack() as stack:
        for system in systems.values():
            await stack.enter_async_context(system)
        yield systems


@pytest.fixture(scope="module")
def proxbox(systems: Systems) -> ProxboxApi:
    return systems["usual"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(systems: Systems, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayClient]:
    """Of a gateway with a target for each of them, and some for the usual one that differ."""

    def preset(system: str, **beside: Any) -> Mapping[str, Any]:
        given = {"url": systems[system].url, "api_key": KEY, "retry": TWICE}
        return {"preset": "proxbox", "breaker": {"failures": 1000}, **given, **beside}

    async with gateway(
        tmp_path_factory.mktemp("proxbox"),
        **{name.replace("-", "_"): preset(name) for name in systems},
        stage=preset("usual", query="dry_run=true&proxmox_endpoint_ids={{ payload.endpoint }}"),
        hasty=preset("usual", idle_timeout="200ms"),
        watchful=preset("usual", progress_timeout="300ms"),
        patient=preset("usual", retry={"delays": ["50ms"], "attempts": 1000}),
    ) as client:
        yield client


async def test_a_full_update_is_followed_to_its_end(client: GatewayClient, proxbox: ProxboxApi) -> None:
    run = await finish(client, "usual")

    assert (run["state"], run["reason"]) == ("succeeded", None)
    assert run["output"] == {"devices": 1, "virtual_machines": 1, "warnings": []}
    assert run["progress"] == {"current": 1, "total": 1, "percent": 100}
    assert "discovery: " in run["attempts"][0]["log"]


async def test_what_shall_be_updated_can_be_said(client: GatewayClient, proxbox: ProxboxApi) -> None:
    await finish(client, "stage", endpoint=7)

    assert proxbox.queries[-1] == {"dry_run": "true", "proxmox_endpoint_ids": "7"}


@pytest.mark.parametrize(
    ("trouble", "warning"),
    [
        ({"bootstrap_ok": False}, "no_netbox_session: NetBox cannot be reached"),
        ({"failed": 2}, "Phase backups completed: 1 created, 0 updated, 2 failed"),
        ({"warnings": ["VM 100 has no cluster", "VM 101 too"]}, "VM 100 has no cluster; VM 101 too"),
    ],
)
async def test_a_success_with_trouble_says_so(
    client: GatewayClient, proxbox: ProxboxApi, trouble: dict[str, Any], warning: str
) -> None:
    proxbox.updates.append(stream.successful(**trouble))
    run = await finish(client, "usual")

    assert (run["state"], run["reason"]) == ("succeeded", f"succeeded with warnings: {warning}")


@pytest.mark.parametrize(
    ("update", "reason"),
    [
        (stream.update(stream.opening(), stream.failed()), "the target reported complete: Full update sync failed."),
        (stream.update(stream.opening(), stream.cancelled()), "reported complete: Full update sync cancelled."),
        (stream.update(stream.opening(), stream.stage("devices")), "the stream ended without an event"),
        (stream.update(stream.opening(), stream.completed()[:-1]), "the stream ended without an event"),
        (stream.update(stream.opening(), stream.event("complete", {})), "the stream ended without an event"),
        (stream.update(stream.opening(), reset=True), ""),
    ],
    ids=["failed", "cancelled", "truncated", "truncated-in-its-end", "unclear", "reset"],
)
async def test_x03_200_is_no_success(client: GatewayClient, proxbox: ProxboxApi, update: Answer, reason: str) -> None:
    proxbox.updates.append(update)
    run = await finish(client, "usual")

    assert outcomes(run) == ["failed", "succeeded"]
    assert reason in run["attempts"][0]["reason"]


@pytest.mark.parametrize(
    ("target", "update", "reason"),
    [
        ("hasty", stream.silent(), "no byte within 200ms"),
        ("watchful", stream.stalled(), "no event within 300ms"),
    ],
    ids=["silent", "stalled"],
)
async def test_x03_a_stream_that_stands_still_is_given_up(
    client: GatewayClient, proxbox: ProxboxApi, target: str, update: Answer, reason: str
) -> None:
    proxbox.updates.append(update)
    run = await finish(client, target)

    assert outcomes(run) == ["failed", "succeeded"]
    assert reason in run["attempts"][0]["reason"]


@pytest.mark.parametrize(
    ("refusal", "statuses"),
    [(NO_NETBOX, [400]), (NO_PROXMOX, [502, 502]), (BROKEN, [500, 500])],
    ids=["no-netbox", "no-proxmox", "broken"],
)
async def test_refusals_are_final_or_tried_again(
    client: GatewayClient, proxbox: ProxboxApi, refusal: Answer, statuses: list[int]
) -> None:
    proxbox.updates.extend([refusal] * len(statuses))
    run = await finish(client, "usual")

    assert run["state"] == "failed"
    assert [attempt["status"] for attempt in run["attempts"]] == statuses


async def test_a_sync_that_somebody_else_started_is_waited_for(client: GatewayClient, proxbox: ProxboxApi) -> None:
    before = proxbox.requests.count(STREAM)
    with proxbox.syncing():
        run_id = await begin(client, "patient")
        await client.wait_for(run_id, "retrying")
        assert proxbox.requests.count(STREAM) == before
    run = await client.wait_for(run_id, "succeeded")

    assert "not ready" in run["attempts"][0]["reason"]


async def test_a_cancelled_run_ends_the_update(client: GatewayClient, proxbox: ProxboxApi) -> None:
    proxbox.updates.append(stream.stalled())
    run_id = await begin(client, "usual")

    async def active() -> int:
        return len(proxbox.active)

    await until(active, 1, "updates")
    await client.do(f"runs/{run_id}/cancel")
    await client.wait_for(run_id, "cancelled")
    await until(active, 0, "updates")


@pytest.mark.parametrize("name", ["other-key", "without-key"])
async def test_a_bad_key_is_not_tried_again_and_locks_nobody_out(
    client: GatewayClient, systems: Systems, name: str
) -> None:
    first = await finish(client, name)
    second = await begin(client, name)
    run = await client.run(second)

    assert (first["state"], [attempt["status"] for attempt in first["attempts"]]) == ("failed", [401])
    assert run["state"] == "queued"
    assert "to be reachable; next try at" in run["waiting_for"]
    assert systems[name].bad_keys < MAX_BAD_KEYS


@pytest.mark.parametrize(("name", "seconds"), [("locked", LOCKED), ("limited", WINDOW)])
async def test_too_many_requests_are_left_off_as_long_as_asked(
    client: GatewayClient, systems: Systems, name: str, seconds: int
) -> None:
    systems["locked"].lock_out()
    run_id = await begin(client, name)
    run = await client.wait_for(run_id, "retrying")
    asked = len(systems[name].requests)
    other = await client.run(await begin(client, name))
    await client.do(f"runs/{run_id}/cancel")

    assert [attempt["status"] for attempt in run["attempts"]] == [429]
    assert seconds - 1 < seconds_until_due(run) < seconds + 2
    assert other["state"] == "queued"
    assert len(systems[name].requests) == asked
