"""What calls in progress say, kept while they last; and the logs of runs, read from there and from attempts."""

from typing import Any

import orjson
import pytest
from sqlalchemy import event

from gateway.core.log_tail import MAX_LINES, LogTail
from gateway.core.outcome import BrokenOff, Succeeded
from gateway.core.progress import Progress
from gateway.store.claim import ClaimedRun
from gateway.store.database import Database
from gateway.store.history import find_run
from gateway.store.live import Said, keep_said
from gateway.store.logs import Part, Position, read_part, signs_of
from gateway.store.schema import attempts, live_logs
from gateway.store.settle import Attempted, settle_attempts
from gateway.store.writer import Work
from tests.store.scene import SECOND, Scene

HOSTILE = "\x1b[2J\0\ud800"


class Caller:
    """A call in progress that says something now and then."""

    def __init__(self, scene: Scene, run: ClaimedRun) -> None:
        self._scene = scene
        self.run = run
        self.tail = LogTail()
        self._kept = 0

    async def say(self, *lines: str, progress: Progress | None = None, **changes: Any) -> bool:
        for line in lines:
            self.tail.add(f"{line}\n")
        said = {"since": self._kept, "until": self.tail.said, "dropped": self.tail.dropped} | changes
        text = "\n".join(self.tail.lines(said["since"]))
        run = self.run
        kept = await self._scene.database.commit(
            keep_said,
            Said(run_id=run.id, node_id=run.node_id, attempt=run.attempt, text=text, progress=progress, **said),
        )
        self._kept = said["until"]
        return kept

    @property
    def outcome(self) -> dict[str, Any]:
        """What is settled with its outcome."""
        return {"log": str(self.tail), "dropped": self.tail.dropped, "is_live": True}


@pytest.fixture
async def caller(scene: Scene) -> Caller:
    await scene.ask()
    return Caller(scene, await scene.claim_one())


async def part(scene: Scene, run_id: str, *since: int) -> Part:
    read = await read_part(scene.database, run_id, Position(*since))
    assert read is not None
    return read


async def test_what_a_call_says_is_read_while_it_lasts(scene: Scene, caller: Caller) -> None:
    run_id = caller.run.id
    assert (await part(scene, run_id)).lines == []
    assert await caller.say("one", "two")
    assert await caller.say("", "four")
    read = await part(scene, run_id)
    later = await part(scene, run_id, 1, 3)

    assert (read.lines, read.until, read.next) == (["one", "two", "", "four"], Position(1, 4), Position(1, 4))
    assert read.attempt is not None
    assert (read.attempt["node"], read.attempt["outcome"]) == ("alpha", None)
    assert read.attempt["started_at"] == caller.run.attempt_started_at
    assert (later.lines, later.until) == (["four"], Position(1, 4))


async def test_the_outcome_takes_the_place_of_what_was_live(scene: Scene, caller: Caller) -> None:
    await caller.say("one", "two")
    caller.tail.add("three")
    await scene.fail(caller.run, **caller.outcome)
    read = await part(scene, caller.run.id, 1, 1)

    assert await scene.rows(live_logs) == []
    assert (read.lines, read.until, read.next) == (["two", "three"], Position(1, 3), Position(2, 0))
    assert read.is_closed
    assert (await part(scene, caller.run.id, 2)).attempt is None


async def test_lines_are_numbered_from_the_first_that_was_said(scene: Scene, caller: Caller) -> None:
    """Though only the last are kept, live or not."""
    await caller.say(*map(str, range(10)))
    await caller.say(*map(str, range(10, 10 + 2 * MAX_LINES)))
    live = await part(scene, caller.run.id, 1, 10)
    await caller.say("last")
    chunks = await scene.rows(live_logs)
    await scene.fail(caller.run, **caller.outcome)
    ended = await part(scene, caller.run.id, 1, live.until.lines)

    assert live.lines[:2] == ["(1,000 lines before this one were not kept)", "1010"]
    assert sorted(chunk.number for chunk in chunks) == [2010, 2011]
    assert (ended.lines, ended.until.lines) == (["last"], 2011)
    assert (await part(scene, caller.run.id)).lines[0] == "(1,011 lines before this one were not kept)"


async def test_live_chunks_are_no_more_than_the_tail_and_a_chunk(scene: Scene, caller: Caller) -> None:
    for _ in range(30):
        await caller.say(*("x" * 4000 for _ in range(10)))
    chunks = await scene.rows(live_logs)

    assert sum(len(chunk.text) for chunk in chunks) < (256 + 40) * 1024


async def test_a_lost_call_leaves_its_log_behind(scene: Scene, caller: Caller) -> None:
    await caller.say(*map(str, range(MAX_LINES)))
    await caller.say("one", "", HOSTILE, progress=Progress(current=1, total=4))
    (ended,) = await scene.crash(log=None)
    (attempt,) = await scene.rows(attempts)

    assert attempt.log.endswith("\n999\none\n\n\x1b[2J\ufffd?")
    assert attempt.dropped == 3
    assert ended.log == attempt.log
    assert await scene.rows(live_logs) == []
    assert (await part(scene, caller.run.id, 1, 1000)).lines[:2] == ["one", ""]


async def test_a_lost_call_that_said_nothing_has_no_log(scene: Scene, caller: Caller) -> None:
    await scene.crash(log=None)
    (attempt,) = await scene.rows(attempts)

    assert (attempt.log, attempt.dropped) == ("", 0)


async def test_nobody_speaks_for_a_call_that_is_another_nodes(scene: Scene, caller: Caller) -> None:
    await scene.crash(log=None)
    assert not await caller.say("late", progress=Progress(percent=99))
    again = Caller(scene, await scene.claim_one())
    assert not await caller.say("later", progress=Progress(percent=99))
    assert await again.say("new")

    assert [(row.attempt, row.text) for row in await scene.rows(live_logs)] == [(2, "new")]
    assert (await scene.run(caller.run.id)).progress is None


async def test_of_several_news_each_is_fenced_by_itself(scene: Scene, caller: Caller) -> None:
    await scene.ask(None)
    other = Caller(scene, await scene.claim_one())
    await scene.succeed(caller.run)

    assert not await caller.say("late")
    assert await other.say("in time")


async def test_a_commit_of_unknown_fate_doubles_nothing(scene: Scene, caller: Caller) -> None:
    """It was carried out after all, and is repeated: as it was, and with what was said since."""
    await caller.say("one")
    await caller.say("two")
    await caller.say(since=1)
    await caller.say("three", since=1)

    assert (await part(scene, caller.run.id)).lines == ["one", "two", "three"]


async def test_progress_is_the_runs_until_its_next_attempt(scene: Scene, caller: Caller) -> None:
    run_id = caller.run.id
    await caller.say(progress=Progress(current=3, total=10, percent=30))
    assert await progress_of(scene, run_id) == {"current": 3, "total": 10, "percent": 30}
    assert (await part(scene, run_id)).run["progress"] == {"current": 3, "total": 10, "percent": 30}
    await caller.say("more")
    await scene.fail(caller.run, progress=Progress(percent=50))
    assert await progress_of(scene, run_id) == {"current": None, "total": None, "percent": 50}
    scene.wait(10 * SECOND)
    await scene.claim_one()
    assert await progress_of(scene, run_id) is None


async def progress_of(scene: Scene, run_id: str) -> Any:
    run = await find_run(scene.database, run_id)
    assert run is not None
    return orjson.loads(orjson.dumps(run))["progress"]


async def test_a_sign_changes_with_whatever_there_is_to_see(scene: Scene, caller: Caller) -> None:
    run_id = caller.run.id
    seen = [await signs_of(scene.database, [run_id])]
    for step in (
        caller.say("one"),
        caller.say(progress=Progress(percent=1)),
        scene.end(caller.run, BrokenOff()),
        scene.claim(),
    ):
        await step
        seen.append(await signs_of(scene.database, [run_id]))

    assert len({sign[run_id] for sign in seen}) == len(seen)
    assert all(sign.keys() == {run_id} for sign in seen)


async def test_a_short_call_costs_nothing_more(scene: Scene, caller: Caller) -> None:
    """Neither looks for live logs, nor writes progress."""
    statements = await _statements(
        scene.database, Attempted(run=caller.run, outcome=Succeeded(), log="x", node="n", finished_at=scene.now)
    )

    assert [text for text in statements if "live_logs" in text or text.startswith("UPDATE runs SET progress")] == []
    assert [text.split()[2] for text in statements if text.startswith("INSERT")] == ["attempts", "counts"]


async def _statements(database: Database, attempted: Attempted) -> list[str]:
    """Those of settling it."""
    seen: list[str] = []

    def noted(work: Work, requests: Any) -> Any:
        event.listen(work.connection, "before_cursor_execute", note)
        results = settle_attempts(work, requests)
        event.remove(work.connection, "before_cursor_execute", note)
        return results

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    await database.commit(noted, attempted)
    return seen
