"""What a run leaves behind when its attempt or its life ends: its key, its place, and the runs behind it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, select, update

from gateway.core.run import FINAL, Move, State, after
from gateway.store.bulk import select_pairs, select_rows, update_runs
from gateway.store.enqueue import Key
from gateway.store.holders import LOCK_KEYS
from gateway.store.lanes import Lane, LaneLimits, reseat
from gateway.store.pauses import joined
from gateway.store.requested import as_held
from gateway.store.schema import keys, runs
from gateway.store.takeover import take_over
from gateway.store.writer import Work

_COLUMNS = tuple(
    runs.c[name]
    for name in (
        *("id", "state", "target", "trigger", "schedule", "key", "lane", "behind", "created_at", "due_at"),
        *("started_at", "attempt", "failures", "losses", "node_id", "cancelling", "event_id", "events", "size"),
        *("origin_event_id", "depth", "traceparent", "reason", "handle", "following", "origins", "waited"),
    )
)
_LOCK_RUNS = (
    select(*_COLUMNS).where(runs.c.id.in_(bindparam("wanted", expanding=True))).order_by(runs.c.id).with_for_update()
)
_LOCK_BEHIND = (
    select(*_COLUMNS, runs.c.not_before, runs.c.claimable, runs.c.expires_at, runs.c.fresh_for)
    .where(runs.c.behind.in_(bindparam("wanted", expanding=True)))
    .order_by(runs.c.id)
    .with_for_update()
)
_FREE_KEY = delete(keys).where(keys.c.target == bindparam("of_target"), keys.c.key == bindparam("of_key"))
_MOVED = ("behind", "claimable", "due_at", "not_before", "events", "size", "expires_at", "fresh_for", "origins")


@dataclass(slots=True)
class Releasing:
    """One transaction's view of runs that end an attempt or their life, and of those behind them."""

    work: Work
    runs: dict[str, Any] = field(default_factory=dict)
    _holds: dict[Key, Any] = field(default_factory=dict)
    _behind: dict[str, dict[str, Any]] = field(default_factory=dict)
    _freed: list[Key] = field(default_factory=list)
    _handed_back: list[tuple[Key, str]] = field(default_factory=list)
    _moved: dict[str, dict[str, Any]] = field(default_factory=dict)
    _takeovers: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _lanes: set[Lane] = field(default_factory=set)

    @classmethod
    def lock(cls, work: Work, run_ids: Sequence[str], held: Sequence[Key]) -> "Releasing":
        """Locks the keys these runs may hold, then the runs, then those behind them."""
        releasing = cls(work)
        rows = select_pairs(work.connection, LOCK_KEYS, set(held))
        releasing._holds = {(row.target, row.key): row for row in rows}
        releasing.runs = {row.id: row for row in select_rows(work.connection, _LOCK_RUNS, run_ids)}
        if held:
            releasing._lock_behind()
        return releasing

    def _lock_behind(self) -> None:
        rows = select_rows(self.work.connection, _LOCK_BEHIND, self.runs)
        self._behind = {row.behind: dict(row._mapping) for row in rows}  # noqa: SLF001 - the documented name

    def leave(
        self, run: Any, move: Move, retry_at: datetime | None = None, *, is_kept: bool = False
    ) -> tuple[Move, str | None]:
        """What a run's move means for those behind it; a retry becomes a takeover where a newer run waits.

        Not so where it `is_kept`, because it goes on to follow a job: then the newer one stays behind it.
        Returns the move it really makes and the run that supersedes it, if one does.
        """
        if run.lane is not None:
            self._lanes.add((run.target, run.lane))
        newer = self._behind.get(run.id)
        if after(State(run.state), move) in FINAL:
            self._release_key(run, move)
            if newer:
                self._move_up(newer, run.behind)
            return move, None
        if newer is None or is_kept or not as_held(newer).has_room_for(run.events, run.size):
            return move, None
        self._hand_over(run, newer, retry_at)
        return Move.SUPERSEDE, newer["id"]

    def _release_key(self, run: Any, move: Move) -> None:
        key = (run.target, run.key)
        hold = self._holds.get(key)
        if hold is None or hold.run_id != run.id:
            return
        if run.behind is not None:
            self._handed_back.append((key, run.behind))
        elif not (move is Move.SUCCEED and hold.held_until and self.work.now < hold.held_until):
            self._freed.append(key)

    def _move_up(self, newer: dict[str, Any], behind: str | None) -> None:
        newer["behind"] = behind
        newer["claimable"] = behind is None and newer["lane"] is None
        self._moved[newer["id"]] = newer
        if newer["lane"] is not None:
            self._lanes.add((newer["target"], newer["lane"]))

    def _hand_over(self, older: Any, newer: dict[str, Any], retry_at: datetime | None) -> None:
        floor = retry_at or self.work.now
        newer["due_at"] = max(newer["due_at"], floor)
        newer["not_before"] = floor
        newer["size"] += older.size
        newer["origins"] = joined(newer["origins"], older.origins)
        newer["expires_at"] = newer["fresh_for"] = None  # what has been started is carried through
        self._takeovers.append((older.id, newer))
        self._move_up(newer, None)

    def write(self, limits: LaneLimits) -> None:
        """Writes what `leave` found; the runs that left must be written before, as lanes count them."""
        connection = self.work.connection
        if self._freed:
            freed = [{"of_target": target, "of_key": key} for target, key in sorted(self._freed)]
            connection.execute(_FREE_KEY, freed)
        for (target, key), run_id in self._handed_back:
            held = (keys.c.target == target) & (keys.c.key == key)
            connection.execute(update(keys).where(held).values(run_id=run_id, held_until=None))
        for older, newer in self._takeovers:
            newer["events"] += take_over(connection, older, newer)
        update_runs(connection, _MOVED, self._moved)
        reseat(connection, self._lanes, limits, self.work.now)
