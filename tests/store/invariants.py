"""What holds in every state of the store, whoever did whatever in whichever order."""

from collections import Counter, defaultdict
from typing import Any

from gateway.core.run import CLAIMABLE, UNFINISHED, State
from gateway.store.lanes import LaneLimit
from gateway.store.schema import events, keys, run_events, runs
from tests.store.scene import Scene


async def check(scene: Scene, limit: int) -> None:
    """Fails where a promise is broken; `limit` is that of every target."""
    rows = {row.id: row for row in await scene.rows(runs)}
    linked: dict[str, set[str]] = {row.id: {row.event_id} - {None} for row in rows.values()}
    for link in await scene.rows(run_events):
        linked[link.run_id].add(link.event_id)
    _no_more_than_allowed(rows, limit)
    _one_of_each_kind_for_a_key(rows)
    _keys_name_their_holders(rows, {(row.target, row.key): row for row in await scene.rows(keys)})
    _those_behind_stand_behind_somebody(rows)
    _no_event_vanishes(rows, linked, {row.id for row in await scene.rows(events)})
    _lanes_are_used_and_not_overfilled(rows, scene.limits)


def _no_more_than_allowed(rows: dict[str, Any], limit: int) -> None:
    running = Counter(row.target for row in rows.values() if row.state == State.RUNNING)
    assert all(count <= limit for count in running.values())


def _one_of_each_kind_for_a_key(rows: dict[str, Any]) -> None:
    """At most one called and one waiting run."""
    counted = Counter(
        (row.target, row.key, row.state == State.QUEUED)
        for row in rows.values()
        if row.key is not None and row.state in UNFINISHED
    )
    assert all(count == 1 for count in counted.values()), counted


def _keys_name_their_holders(rows: dict[str, Any], held: dict[tuple[str, str], Any]) -> None:
    for place, hold in held.items():
        holder = rows[hold.run_id]
        assert (holder.target, holder.key) == place
        assert holder.state in UNFINISHED or (holder.state == State.SUCCEEDED and hold.held_until is not None)
    for row in rows.values():
        if row.key is not None and row.state in UNFINISHED:
            newest = rows[held[row.target, row.key].run_id]
            assert row.id in (newest.id, newest.behind)


def _those_behind_stand_behind_somebody(rows: dict[str, Any]) -> None:
    for row in rows.values():
        if row.behind is not None:
            assert not row.paused
            assert row.state == State.QUEUED
            assert not row.claimable
            assert rows[row.behind].state in UNFINISHED
        if row.lane is None:
            assert row.claimable is (row.state in CLAIMABLE and row.behind is None and not row.paused)


def _no_event_vanishes(rows: dict[str, Any], linked: dict[str, set[str]], stored: set[str]) -> None:
    for row in rows.values():
        assert row.events == len(linked[row.id])
        assert linked[row.id] <= stored
        if row.state == State.SUPERSEDED:
            assert linked[row.id] <= linked[row.superseded_by]
        else:
            assert row.superseded_by is None


def _lanes_are_used_and_not_overfilled(rows: dict[str, Any], limits: dict[str, LaneLimit]) -> None:
    lanes = defaultdict(list)
    for row in rows.values():
        if row.lane is not None and row.state in UNFINISHED:
            lanes[row.target, row.lane].append(row)
    for (target, _), members in lanes.items():
        running = [row for row in members if row.state == State.RUNNING]
        seated = [row for row in members if row.claimable]
        free = [row for row in members if row.state in CLAIMABLE and row.behind is None and not row.paused]
        limit = limits[target]
        assert len(running) + len(seated) <= limit.concurrency
        if not limit.ordered:
            assert len(seated) == min(len(free), limit.concurrency - len(running))
        elif seated:
            assert seated[0].id == min((row.created_at, row.id) for row in members)[1]
