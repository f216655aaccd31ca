"""The same to all runs that a filter selects."""

from pathlib import Path
from typing import Any

import pytest

from tests.web.edges import OPEN, Answer, Gateway, running

SETTINGS = {
    "sources": {"alarms": {**OPEN, "event": {"type": "sent"}}},
    "targets": {
        "sync": {"kind": "command", "argv": ["true"]},
        "other": {"kind": "command", "argv": ["false"], "retry": {"attempts": 1}, "concurrency": 8},
    },
    "triggers": {"every": {"on": "alarms", "target": "sync", "payload": {}}},
}


async def send(gateway: Gateway, count: int) -> list[str]:
    """Events whose runs all wait; the ids of these, oldest first."""
    answers = [await gateway.post("/hooks/alarms", json={}) for _ in range(count)]
    return [answer.json["decisions"][0]["run_id"] for answer in answers]


async def do(gateway: Gateway, what: str, **body: Any) -> Any:
    answer = await gateway.post(f"/api/v1/runs/{what}", json=body)
    assert answer.status in (200, 202), answer
    return answer.json


async def states(gateway: Gateway) -> list[str]:
    """Oldest first."""
    items = (await gateway.get("/api/v1/runs?limit=1000")).json["items"]
    return [run["state"] for run in reversed(items)]


async def test_all_that_wait_for_a_target_are_cancelled(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        ids = await send(gateway, 120)
        await gateway.post("/api/v1/targets/other/run", json={})
        done = await do(gateway, "cancel", target="sync", reason="a storm")
        again = await do(gateway, "cancel", target="sync")
        run = (await gateway.get(f"/api/v1/runs/{ids[0]}")).json

        assert (done["matched"], done["done"], done["remaining"], done["next"]) == (120, 120, 0, None)
        assert done["ids"] == ids
        assert again["done"] == 0
        assert await states(gateway) == ["cancelled"] * 120 + ["queued"]
        assert run["reason"] == "cancelled by local: a storm"


async def test_one_row_of_the_audit_trail_counts_them(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        await send(gateway, 60)
        await do(gateway, "cancel", target="sync", reason="a storm", max=55)
        [row] = (await gateway.get("/api/v1/audit?action=cancel")).json["items"]

    assert (row["kind"], row["name"], row["count"], row["reason"]) == ("runs", None, 55, "a storm")
    assert row["asked"] == {"target": "sync", "max": 55}
    assert row["outcome"] is None


async def test_a_dry_run_only_says_what_would_be_done(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        ids = await send(gateway, 3)
        done = await do(gateway, "cancel", target="sync", dry_run=True)

        assert (done["ids"], done["matched"], done["done"], done["dry_run"]) == (ids, 3, 0, True)
        assert await states(gateway) == ["queued"] * 3
        assert (await gateway.get("/api/v1/audit")).json["items"] == []


async def test_at_most_so_many_at_once_and_the_rest_from_the_cursor_on(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        ids = await send(gateway, 5)
        await do(gateway, "cancel", target="sync")
        first = await do(gateway, "retry", state="cancelled", max=3)
        second = await do(gateway, "retry", state="cancelled", max=3, cursor=first["next"])

        assert (first["ids"], first["remaining"]) == (ids[:3], 2)
        assert (second["ids"], second["remaining"], second["next"]) == (ids[3:], 0, None)
        assert len({*first["run_ids"], *second["run_ids"]}) == 5


async def test_without_a_state_a_retry_is_of_what_failed(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS, dispatching=True) as gateway:
        failed = await run_to_the_end(gateway, "other")
        await run_to_the_end(gateway, "sync")
        done = await do(gateway, "retry", since="1h")
        retried = (await gateway.get(f"/api/v1/runs/{done['run_ids'][0]}")).json

    assert done["ids"] == [failed]
    assert retried["retried_from"] == failed


async def run_to_the_end(gateway: Gateway, target: str) -> str:
    answer = await gateway.post(f"/api/v1/targets/{target}/run?wait=10s", json={})
    assert answer.status == 200
    run_id: str = answer.json["id"]
    return run_id


async def test_those_of_one_key_become_one_run(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        for _ in range(3):
            run = (await gateway.post("/api/v1/targets/sync/run", json={"key": "k"})).json
            await gateway.post(f"/api/v1/runs/{run['id']}/cancel")
        done = await do(gateway, "retry", key="k", state="cancelled")

    assert done["done"] == 3
    assert len(done["run_ids"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"dry_run": True},
        {"state": None},
        {"state": "done"},
        {"target": "sync", "max": 0},
        {"target": "sync", "max": 10_001},
        {"target": "sync", "cursor": "x"},
        {"target": "sync", "limit": 1},
        {"target": ["sync"]},
        {"target": ""},
        {"since": "yesterday"},
        {"since": 0},
        {"target": "sync", "dry_run": "perhaps"},
    ],
)
@pytest.mark.parametrize("what", ["cancel", "retry"])
async def test_s_everything_is_never_meant_by_mistake(tmp_path: Path, what: str, body: dict[str, Any]) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        await send(gateway, 1)
        answer: Answer = await gateway.post(f"/api/v1/runs/{what}", json=body)

        assert answer.status == 422
        assert await states(gateway) == ["queued"]


async def test_others_get_their_turn_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is handed to the database together is bounded, however many are selected."""
    at_once = most = 0
    async with running(tmp_path, SETTINGS) as gateway:
        await send(gateway, 120)
        cancel = gateway.edge.intake.cancel

        async def counted(*run: Any, **about: Any) -> Any:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            try:
                return await cancel(*run, **about)
            finally:
                at_once -= 1

        monkeypatch.setattr(gateway.edge.intake, "cancel", counted)
        await do(gateway, "cancel", target="sync")

    assert most == 50
