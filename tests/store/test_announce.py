"""The ends of runs that never started, or were not in progress, are told as all others."""

from typing import Any

import orjson
import pytest

from gateway.core.outcome import Cancelled, PermanentFailure, RetryableFailure, Succeeded
from gateway.core.retry import Retry
from gateway.runtime.chain import announcement
from gateway.store.control import Cancellation, cancel_runs
from gateway.store.lapse import EXPIRED, Lapsing, lapse
from gateway.store.schema import events, runs
from tests.store.clockwork import configured
from tests.store.scene import HOUR, SECOND, TARGET, Scene

ANNOUNCER = announcement(
    configured(
        triggers={
            "after": {
                "on": {"run": TARGET},
                "target": "next",
                "payload": {"said": "{{ event.data }}", "first": "{{ event.origin.data }}"},
            }
        }
    )
)


async def cancel(scene: Scene, run_id: str | None) -> None:
    wanted = Cancellation(run_id=run_id or "", reason="wrong site", announcer=ANNOUNCER)
    await scene.database.commit(cancel_runs, wanted)


async def ends(scene: Scene) -> list[tuple[str, Any]]:
    """What was told, and why it ended."""
    rows = await scene.rows(events, events.c.source == "gateway")
    return [(row.type, orjson.loads(row.body)["reason"]) for row in sorted(rows, key=lambda row: row.id)]


async def test_a_waiting_run_that_is_cancelled_is_told(scene: Scene) -> None:
    first = await scene.ask(body=b'{"id":7}')
    await cancel(scene, first.run_id)
    await cancel(scene, first.run_id)
    [chained] = await scene.rows(runs, runs.c.target == "next")
    payload = orjson.loads(chained.payload)

    assert await ends(scene) == [("gateway.run.cancelled", "wrong site")]
    assert (payload["said"]["run"]["id"], payload["said"]["state"]) == (first.run_id, "cancelled")
    assert payload["first"] == {"id": 7}
    assert (chained.trigger, chained.depth) == ("after", 1)


async def test_a_retrying_run_that_is_cancelled_is_told(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    await scene.fail(run, announcer=ANNOUNCER)
    assert await ends(scene) == []
    await cancel(scene, run.id)

    assert await ends(scene) == [("gateway.run.cancelled", "wrong site")]


async def test_a_run_in_progress_is_told_when_its_call_has_ended(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    await cancel(scene, run.id)
    assert await ends(scene) == []
    await scene.end(run, Cancelled(), announcer=ANNOUNCER)

    assert await ends(scene) == [("gateway.run.cancelled", "wrong site")]


async def test_a_run_that_has_expired_is_told(scene: Scene) -> None:
    for _ in range(3):
        await scene.ask(None, expires_at=scene.now + HOUR)
    scene.wait(HOUR)
    await scene.database.commit(lapse, Lapsing(announcer=ANNOUNCER))

    assert await ends(scene) == [("gateway.run.cancelled", EXPIRED)] * 3


async def test_a_superseded_run_has_not_ended_but_goes_on_as_another(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    await scene.ask()
    await scene.fail(run, announcer=ANNOUNCER)
    scene.wait(10 * SECOND)
    assert await ends(scene) == []
    await scene.succeed(await scene.claim_one(), announcer=ANNOUNCER)

    assert await ends(scene) == [("gateway.run.succeeded", None)]


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(Succeeded(output={"sha": "c0ffee"}), "succeeded"), (PermanentFailure(reason="no"), "failed")],
)
async def test_what_is_told_of_a_run(scene: Scene, outcome: Any, state: str) -> None:
    await scene.ask("ams", payload=b'{"site":"ams"}')
    run = await scene.claim_one()
    await scene.end(run, outcome, announcer=ANNOUNCER, log="line 1\nline 2")
    [chained] = await scene.rows(runs, runs.c.target == "next")
    said = orjson.loads(chained.payload)["said"]

    assert said["run"] == {"id": run.id, "target": TARGET, "trigger": "t", "schedule": None, "key": "ams", "attempt": 1}
    assert (said["state"], said["payload"], said["log_tail"]) == (state, {"site": "ams"}, "line 1\nline 2")
    assert said["output"] == getattr(outcome, "output", None)


@pytest.mark.parametrize(
    "text", ["half a \ud800 character", "\0", "\N{LINE SEPARATOR}", "\x1b[2J", "\U0010ffff" * 5000]
)
async def test_p9_whatever_a_target_says_its_run_ends(scene: Scene, text: str) -> None:
    await scene.ask()
    run = await scene.claim_one()
    ended = await scene.end(run, RetryableFailure(reason=text), announcer=ANNOUNCER, retry=Retry(attempts=1), log=text)

    assert ended.state == "failed"
    assert [type_ for type_, _ in await ends(scene)] == ["gateway.run.failed"]


async def test_a_first_event_that_has_been_pruned_is_missing(scene: Scene) -> None:
    await scene.ask()
    run = await scene.claim_one()
    await scene.database.transact(lambda connection: connection.execute(events.delete()))
    await scene.succeed(run, announcer=ANNOUNCER)
    [happened] = await scene.rows(events)
    [decision] = orjson.loads(happened.decisions)

    assert decision["decision"] == "error"
    assert decision["reason"].startswith("payload: ")


async def test_chains_end_at_eight_runs(scene: Scene) -> None:
    """A ring of two triggers: each listens to the other's target."""
    ring = {
        "to": {"on": {"run": TARGET}, "target": "next"},
        "fro": {"on": {"run": "next"}, "target": TARGET},
    }
    announcer = announcement(configured(triggers=ring))
    await scene.ask(None, trigger=None)
    await scene.pause_target("next")
    await scene.resume_target("next")
    for _ in range(20):
        for target in (TARGET, "next"):
            for run in await scene.claim(target):
                await scene.succeed(run, announcer=announcer)

    assert len(await scene.rows(runs)) == 9
    last = max(await scene.rows(events), key=lambda row: row.id)
    assert "a chain of more than 8 runs" in last.decisions.decode()


def test_where_nothing_listens_nothing_is_made() -> None:
    assert announcement(configured()) is None
