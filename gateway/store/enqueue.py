"""The enqueue-once table at work: requests meet the runs that hold their keys, all in one transaction.

`Enqueuing` is what one transaction knows: it locks the keys and their holders, lets the requests meet them one by one
in memory, and then writes what came of it, a statement per kind of row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, update

from gateway.core.once import Verdict, decide
from gateway.core.request import Decision, Request, Verb
from gateway.core.run import Move, State, after
from gateway.store.bulk import insert_rows, select_pairs, select_rows, update_runs
from gateway.store.counts import count, end_of
from gateway.store.holders import HOLDERS, KEYS, LOCK_HOLDERS, LOCK_KEYS
from gateway.store.lanes import Lane, LaneLimit, lock_targets, reseat
from gateway.store.pauses import joined
from gateway.store.requested import (
    Cargo,
    as_held,
    lapse_only_together,
    merged_due,
    missed_with,
    new_run,
    newer_payload,
    origin_of,
)
from gateway.store.schema import keys, run_events, runs
from gateway.store.takeover import take_over
from gateway.store.writer import Work

Key = tuple[str, str]
"""Target and key."""

_MERGED = ("payload", "due_at", "priority", "events", "size", "missed", "expires_at", "fresh_for", "origins")
_WOKEN = ("paused", "claimable")
_SUPERSEDED = ("state", "claimable", "superseded_by", "finished_at", "reason")


@dataclass(slots=True)
class _Hold:
    run_id: str
    held_until: datetime | None
    is_new: bool
    changed: bool = False

    @property
    def values(self) -> dict[str, Any]:
        return {"run_id": self.run_id, "held_until": self.held_until}


@dataclass(slots=True)
class Enqueuing:
    """One transaction's view of keys and runs."""

    work: Work
    limits: dict[str, LaneLimit] = field(default_factory=dict)
    linked: set[tuple[str, str]] = field(default_factory=set)
    """Runs with events that they have merged before; only a repetition can bring such an event again."""
    _holds: dict[Key, _Hold] = field(default_factory=dict)
    _runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    _new: list[dict[str, Any]] = field(default_factory=list)
    _merged: set[str] = field(default_factory=set)
    _woken: set[str] = field(default_factory=set)
    _superseded: dict[str, str] = field(default_factory=dict)
    _links: set[tuple[str, str]] = field(default_factory=set)
    _lanes: set[Lane] = field(default_factory=set)

    def lock(self, requests: Sequence[Request]) -> None:
        """Locks targets whose lanes may change, then the keys, then the runs that hold them."""
        lock_targets(self.work.connection, (request.target for request in requests if request.lane is not None))
        self._find(requests, LOCK_KEYS, LOCK_HOLDERS)

    def look(self, requests: Sequence[Request]) -> None:
        """As `lock`, but locks nothing: what is decided then is a forecast, and never to be written."""
        self._find(requests, KEYS, HOLDERS)

    def _find(self, requests: Sequence[Request], of_keys: Select[Any], of_runs: Select[Any]) -> None:
        wanted = {_key(request) for request in requests if request.until is not None}
        rows = select_pairs(self.work.connection, of_keys, wanted)
        self._holds = {(row.target, row.key): _Hold(row.run_id, row.held_until, is_new=False) for row in rows}
        holders = {hold.run_id for hold in self._holds.values()}
        found = select_rows(self.work.connection, of_runs, holders)
        self._runs = {row.id: dict(row._mapping) for row in found}  # noqa: SLF001 - the documented name

    def holder_of(self, request: Request) -> str | None:
        """The run that holds a request's key, once locked."""
        hold = self._holds.get(_key(request)) if request.until is not None else None
        return hold.run_id if hold else None

    def run(self, run_id: str | None) -> Mapping[str, Any] | None:
        """One that holds a key or was decided about, as it is by now."""
        return self._runs.get(run_id or "")

    def enqueue(self, request: Request, cargo: Cargo) -> Decision:
        """What becomes of a request, by the table; `lock` must have seen it."""
        holder = self._runs.get(self.holder_of(request) or "")
        held = as_held(holder) if holder else None
        match decide(held, request.until, self.work.now, cargo.size, len(cargo.event_ids)), holder:
            case Verdict.MERGE, dict():
                return self._merge(request, cargo, holder)
            case Verdict.DUPLICATE, dict():
                return _decision(request, Verb.DUPLICATE, holder["id"], _held_by(request, holder))
            case Verdict.BEHIND, dict():
                return self._start(request, cargo, behind=holder)
            case Verdict.SUPERSEDE, dict():
                return self._supersede(request, cargo, holder)
            case _:
                return self._start(request, cargo)

    def _start(self, request: Request, cargo: Cargo, behind: dict[str, Any] | None = None) -> Decision:
        run = new_run(request, cargo, self.work.now, behind["id"] if behind else None)
        if behind:
            run["payload"] = newer_payload(request, behind)
        self._add(run, request, cargo)
        reason = f"{_held_by(request, behind)}; goes behind it" if behind else request.reason
        return _decision(request, Verb.ENQUEUED, request.run_id, reason)

    def _supersede(self, request: Request, cargo: Cargo, older: dict[str, Any]) -> Decision:
        run = new_run(request, cargo, self.work.now, None)
        run["payload"] = newer_payload(request, older)
        run["not_before"] = older["due_at"]
        run["due_at"] = max(run["due_at"], older["due_at"])
        run["events"] += older["events"]
        run["size"] += older["size"]
        run["origins"] = joined(run["origins"], older["origins"])
        run["missed"] = missed_with(run, older["missed"])
        run["expires_at"] = run["fresh_for"] = None  # what has been started is carried through
        older["state"] = after(State(older["state"]), Move.SUPERSEDE)
        older["claimable"] = False
        older["superseded_by"] = run["id"]
        older["finished_at"] = self.work.now
        older["reason"] = f"superseded by run {run['id']}, which takes over its events"
        self._superseded[older["id"]] = run["id"]
        self._touch_lane(older)
        self._add(run, request, cargo)
        return _decision(request, Verb.ENQUEUED, run["id"], f"takes over from run {older['id']}, which was retrying")

    def _add(self, run: dict[str, Any], request: Request, cargo: Cargo) -> None:
        self._new.append(run)
        self._runs[run["id"]] = run
        self._links.update((run["id"], event_id) for event_id in cargo.event_ids[1:])
        self._touch_lane(run)
        if request.until is None:
            return
        held_until = self.work.now + request.until if isinstance(request.until, timedelta) else None
        hold = self._holds.setdefault(_key(request), _Hold(run["id"], held_until, is_new=True))
        hold.run_id, hold.held_until, hold.changed = run["id"], held_until, True

    def _merge(self, request: Request, cargo: Cargo, run: dict[str, Any]) -> Decision:
        links = {(run["id"], event_id) for event_id in cargo.event_ids if event_id != run["event_id"]}
        links -= self._links | self.linked
        if links:
            run["events"] += len(links)
            run["size"] += cargo.size
            run["missed"] = missed_with(run, request.missed)
        run["payload"] = newer_payload(request, run)
        run["priority"] = min(run["priority"], request.priority)
        run["due_at"] = max(merged_due(request, run, self.work.now), run["not_before"] or run["created_at"])
        lapse_only_together(run, request)
        self._ask_for(run, origin_of(request, cargo))
        self._links |= links
        self._merged.add(run["id"])
        self._hold_longer(request, run)
        self._touch_lane(run)
        return _decision(request, Verb.MERGED, run["id"], _held_by(request, run))

    def _ask_for(self, run: dict[str, Any], asker: str) -> None:
        """One that is put aside goes back: whether a pause holds it in spite of who asks now is seen when it is due."""
        if asker in run["origins"].split():
            return
        run["origins"] = joined(run["origins"], asker)
        if run["paused"]:
            run["paused"], run["claimable"] = False, run["lane"] is None
            self._woken.add(run["id"])

    def _hold_longer(self, request: Request, run: dict[str, Any]) -> None:
        """A duration counts from the acceptance of the run, whichever of its requests asked for it."""
        if isinstance(request.until, timedelta):
            hold = self._holds[_key(request)]
            until = run["created_at"] + request.until
            if hold.held_until is None or hold.held_until < until:
                hold.held_until, hold.changed = until, True

    def _touch_lane(self, run: dict[str, Any]) -> None:
        if run["lane"] is not None:
            self._lanes.add((run["target"], run["lane"]))

    def write(self) -> None:
        """Writes everything that was decided."""
        links = [{"run_id": run_id, "event_id": event_id} for run_id, event_id in sorted(self._links)]
        insert_rows(self.work.connection, run_events, links)
        for older, newer in self._superseded.items():
            taken = take_over(self.work.connection, older, self._runs[newer])
            self._runs[newer]["events"] += taken - self._runs[older]["events"]
        insert_rows(self.work.connection, runs, self._new)
        new = {run["id"] for run in self._new}
        update_runs(self.work.connection, _MERGED, {run_id: self._runs[run_id] for run_id in self._merged - new})
        update_runs(self.work.connection, _WOKEN, {run_id: self._runs[run_id] for run_id in self._woken})
        superseded = {run_id: self._runs[run_id] for run_id in self._superseded.keys() - new}
        count(self.work, [end_of(run["state"], run["trigger"], run["target"]) for run in superseded.values()])
        update_runs(self.work.connection, _SUPERSEDED, superseded)
        self._write_holds()
        reseat(self.work.connection, self._lanes, self.limits, self.work.now)

    def _write_holds(self) -> None:
        changed = [(key, self._holds[key]) for key in sorted(self._holds) if self._holds[key].changed]
        fresh = [{"target": key[0], "key": key[1], **hold.values} for key, hold in changed if hold.is_new]
        taken = [{"of_target": key[0], "of_key": key[1], **hold.values} for key, hold in changed if not hold.is_new]
        same = (keys.c.target == bindparam("of_target")) & (keys.c.key == bindparam("of_key"))
        insert_rows(self.work.connection, keys, fresh)
        if taken:
            self.work.connection.execute(update(keys).where(same), taken)


def _key(request: Request) -> Key:
    return request.target, request.key or ""


def _held_by(request: Request, run: dict[str, Any]) -> str:
    doing = "waits to be started" if run["state"] == State.QUEUED else f"is {run['state']}"
    return f"key {request.key!r} is held by run {run['id']}, which {doing}"


def _decision(request: Request, verb: Verb, run_id: str, reason: str | None) -> Decision:
    return Decision(trigger=request.trigger, decision=verb, reason=reason, run_id=run_id)
