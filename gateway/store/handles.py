"""The handles of jobs that calls have started at targets: stored at once, so that whoever comes next follows them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import update

from gateway.store.schema import is_running, runs
from gateway.store.writer import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The handle that an attempt of a node has been given, as JSON."""

    run_id: str
    node_id: str
    attempt: int
    handle: bytes


def keep_handles(work: Work, checkpoints: Sequence[Checkpoint]) -> list[bool]:
    """Whether each was still the node's attempt to write."""
    return [_keep(work, checkpoint) for checkpoint in checkpoints]


def _keep(work: Work, checkpoint: Checkpoint) -> bool:
    mine = is_running & (runs.c.node_id == checkpoint.node_id) & (runs.c.attempt == checkpoint.attempt)
    kept = update(runs).where(runs.c.id == checkpoint.run_id, mine).values(handle=checkpoint.handle, following=True)
    return work.connection.execute(kept).rowcount == 1
