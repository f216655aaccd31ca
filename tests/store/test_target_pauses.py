"""Targets that are held back, by people or by their breakers: told once when that begins, and once when it ends."""

from typing import Any

import orjson

from gateway.core.breaker import Breaker
from gateway.core.outcome import RetryableFailure, Succeeded
from gateway.core.retry import Retry
from gateway.runtime.chain import announcement
from gateway.store.pause import Kind, Pausable, Pause
from gateway.store.schema import events, runs
from gateway.store.target_pauses import (
    TargetPause,
    TargetResumption,
    end_target_pauses,
    ended_target_pauses,
    pause_targets,
    resume_targets,
)
from tests.store.clockwork import configured
from tests.store.scene import MINUTE, SECOND, TARGET, Scene
from tests.store.watched import CHAT, Watched, alerted

ANNOUNCER = announcement(alerted())
AWAY = RetryableFailure(reason="connection refused", reached=False)
TWICE = Breaker(failures=2, pause=MINUTE)
MANY = Retry(attempts=100, delays=(SECOND,))


async def pause(scene: Scene, target: str = TARGET, **about: Any) -> None:
    wanted = Pause(what=Pausable(Kind.TARGET, target), by="me", **about)
    await scene.database.commit(pause_targets, TargetPause(pause=wanted, announcer=ANNOUNCER))


async def resume(scene: Scene, target: str = TARGET) -> None:
    await scene.database.commit(resume_targets, TargetResumption(target=target, by="you", announcer=ANNOUNCER))


async def tidy(scene: Scene) -> None:
    """As the janitor does."""
    for target in await ended_target_pauses(scene.database):
        await scene.database.commit(end_target_pauses, TargetResumption(target=target, announcer=ANNOUNCER))


async def turns(scene: Scene) -> list[tuple[str, Any]]:
    """What was announced, and who did it."""
    rows = await scene.rows(events, events.c.type.like("gateway.target.%"))
    return [(row.type, orjson.loads(row.body).get("by")) for row in sorted(rows, key=lambda row: row.id)]


async def test_a_pause_by_hand_is_told_once(scene: Scene) -> None:
    watched = Watched(scene, alerted())
    await pause(scene, reason="upgrade", lasting=MINUTE)
    await pause(scene, reason="takes longer")
    [told] = await watched.told()

    assert (told["what"], told["name"], told["reason"]) == ("paused", TARGET, "upgrade")
    assert {told[name] for name in ("key", "consecutive_failures", "failing_since", "last_success", "run_url")} == {
        None
    }
    [row] = await scene.rows(events)
    assert orjson.loads(row.body)["until"] == "2027-01-15T22:01:00+00:00"


async def test_its_end_is_told_to_triggers_that_listen(scene: Scene) -> None:
    listening = {"on": {"source": "gateway", "type": "gateway.target.resumed"}, "target": "repair"}
    announcer = announcement(configured(triggers={"repair": listening}))
    for _ in range(2):
        await scene.pause_target()
        for _ in range(2):
            await scene.database.commit(resume_targets, TargetResumption(target=TARGET, announcer=announcer))

    assert [row.target for row in await scene.rows(runs)] == ["repair"] * 2


async def test_a_pause_that_ends_by_itself_is_told_when_it_has(scene: Scene) -> None:
    await pause(scene, lasting=MINUTE)
    await tidy(scene)
    scene.wait(MINUTE)
    await tidy(scene)
    await tidy(scene)

    # nobody is told of the end, as nobody listens to it
    assert await turns(scene) == [("gateway.target.paused", "me")]
    await pause(scene)
    assert len(await turns(scene)) == 2


async def test_p8_an_open_breaker_is_told_once_however_long_it_stays_so(scene: Scene) -> None:
    watched = Watched(scene, alerted())
    run = await watched.run()
    for _ in range(5):
        await watched.ends(run, AWAY, retry=MANY, breaker=TWICE)
        scene.wait(10 * MINUTE)
        run = await scene.claim_one()
    await watched.ends(run, Succeeded())
    paused, failing, recovered = await watched.told()

    assert (paused["what"], paused["name"]) == ("paused", TARGET)
    assert paused["reason"] == "2 failures in a row: connection refused"
    assert (failing["what"], failing["name"], failing["consecutive_failures"]) == ("failing", "t", 1)
    assert (recovered["what"], recovered["name"], recovered["consecutive_failures"]) == ("recovered", "t", 3)
    assert await turns(scene) == [("gateway.target.paused", "breaker"), ("gateway.target.unreachable", None)]


async def test_a_breaker_opens_and_closes_for_all_who_listen(scene: Scene) -> None:
    listening = {"on": {"source": "gateway", "type": "gateway.target.*"}, "target": "repair"}
    watched = Watched(scene, configured(triggers={"repair": listening}))
    for _ in range(2):
        run = await watched.run(None, trigger="t")
        for _ in range(3):
            await watched.ends(run, AWAY, retry=MANY, breaker=TWICE)
            scene.wait(10 * MINUTE)
            run = await scene.claim_one()
        await watched.ends(run, Succeeded())

    assert [type_.rpartition(".")[2] for type_, _ in await turns(scene)] == ["paused", "resumed"] * 2


async def test_a_pause_that_the_target_asks_for_is_no_news(scene: Scene) -> None:
    watched = Watched(scene, alerted())
    run = await watched.run()
    busy = RetryableFailure(reason="busy", status=429, retry_after=MINUTE, reached=False)
    await watched.ends(run, busy, retry=MANY)

    assert await watched.told() == []


async def test_what_people_paused_is_not_resumed_by_its_breaker(scene: Scene) -> None:
    watched = Watched(scene, alerted())
    for _ in range(3):
        await scene.ask(None)
    first, second, third = await scene.claim()
    await pause(scene)
    for run in (first, second):
        await watched.ends(run, AWAY, retry=MANY, breaker=TWICE)
    scene.wait(10 * MINUTE)
    await watched.ends(third, Succeeded())
    await resume(scene)

    assert await turns(scene) == [("gateway.target.paused", "me")]


async def test_a_paused_chat_is_not_told_that_it_is_paused(scene: Scene) -> None:
    await pause(scene, CHAT)

    assert await scene.rows(events) == []


async def test_triggers_are_not_called_by_what_their_own_runs_did(scene: Scene) -> None:
    """No loop: the breaker opens because of a run that this very trigger made."""
    listening = {"on": {"source": "gateway", "type": "gateway.target.paused"}, "target": TARGET}
    watched = Watched(scene, configured(triggers={"t": listening}))
    run = await watched.run(None, trigger="t")
    await watched.ends(run, AWAY, retry=MANY, breaker=Breaker(failures=1))
    [happened] = await scene.rows(events, events.c.source == "gateway")

    assert [one["decision"] for one in orjson.loads(happened.decisions)] == ["filtered"]
