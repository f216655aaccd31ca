"""What calls in progress have said so far: lines of their logs, chunk by chunk, and how far they have come.

A chunk is known by the number of its last line, counted from the first that the attempt has said. Fenced on run, node
and attempt: what comes after the attempt has been settled is nobody's any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import bindparam, delete, or_, select

from gateway.core.log_tail import LogTail
from gateway.core.progress import Progress
from gateway.store.bulk import insert_rows, select_rows, update_runs
from gateway.store.schema import is_running, live_logs, runs
from gateway.store.writer import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The news of an attempt: what came after the first `since` lines up to the line `until`, as far as it is kept.

    All lines up to `dropped` are too old to be kept any longer. Progress is `None` where it is no news.
    """

    run_id: str
    node_id: str
    attempt: int
    since: int
    until: int
    dropped: int
    text: str
    progress: Progress | None = None


_LOCK = (
    select(runs.c.id, runs.c.node_id, runs.c.attempt)
    .where(runs.c.id.in_(bindparam("wanted", expanding=True)), is_running)
    .order_by(runs.c.id)
    .with_for_update()
)
_OF_ATTEMPT = (live_logs.c.run_id == bindparam("of_run")) & (live_logs.c.attempt == bindparam("of_attempt"))
# what goes beyond `since` is of a commit that nobody knew to have succeeded
_OBSOLETE = delete(live_logs).where(
    _OF_ATTEMPT, or_(live_logs.c.number <= bindparam("dropped"), live_logs.c.number > bindparam("since"))
)
_CHUNKS = select(live_logs).where(_OF_ATTEMPT).order_by(live_logs.c.number)
_ALL = delete(live_logs).where(_OF_ATTEMPT)


def keep_said(work: Work, news: Sequence[Said]) -> list[bool]:
    """Whether each was still the node's attempt to write."""
    rows = select_rows(work.connection, _LOCK, {said.run_id for said in news})
    in_progress = {(row.id, row.node_id, row.attempt) for row in rows}
    fits = [(said.run_id, said.node_id, said.attempt) in in_progress for said in news]
    _keep(work, [said for said, fit in zip(news, fits, strict=True) if fit])
    return fits


def _keep(work: Work, news: Sequence[Said]) -> None:
    if lines := [said for said in news if said.until > said.since]:
        names = {"of_run": "run_id", "of_attempt": "attempt", "dropped": "dropped", "since": "since"}
        places = [{name: getattr(said, field) for name, field in names.items()} for said in lines]
        work.connection.execute(_OBSOLETE, places)
        insert_rows(
            work.connection,
            live_logs,
            [
                {"run_id": said.run_id, "attempt": said.attempt, "number": said.until, "text": said.text}
                for said in lines
            ],
        )
    write_progress(work, {said.run_id: said.progress for said in news if said.progress})


def write_progress(work: Work, progress: dict[str, Progress]) -> None:
    """How far runs have come, by their ids."""
    update_runs(work.connection, ("progress",), {run: {"progress": orjson.dumps(how)} for run, how in progress.items()})


def recall(work: Work, run_id: str, attempt: int) -> LogTail:
    """What an attempt has said that nobody is left to tell of."""
    tail = LogTail()
    for chunk in work.connection.execute(_CHUNKS, {"of_run": run_id, "of_attempt": attempt}):
        tail.add(f"{chunk.text}\n")
        tail.said = chunk.number
    return tail


def forget(work: Work, ended: Sequence[tuple[str, int]]) -> None:
    """Removes what attempts have said live: their rows have it now."""
    if ended:
        work.connection.execute(_ALL, [{"of_run": run_id, "of_attempt": attempt} for run_id, attempt in ended])
