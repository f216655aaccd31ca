"""P02: whatever is done in whichever order, the store does what the model says; on both databases."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gateway.core.errors import Conflict
from gateway.core.once import Until
from gateway.core.outcome import BrokenOff, Outcome, PermanentFailure, RetryableFailure, Succeeded
from gateway.core.request import Priority
from gateway.core.run import FINAL, State
from gateway.store.claim import ClaimedRun
from gateway.store.leases import register
from gateway.store.pause import Kind
from gateway.store.schema import run_events, runs
from tests.model.store_model import Asked, Model, ModelRun, Paused
from tests.store.invariants import check
from tests.store.scene import LEASE, MINUTE, NOW, SECOND, TARGET, Scene, clear, node, opened, request

LIMIT = 3
EXAMPLES, STEPS = 25, 40
KEYS = st.sampled_from(["a", "a", "b"])
TRIGGERS = st.sampled_from(["t", "t", "u"])
BY_HAND = ""
PAUSABLE = st.sampled_from([(Kind.TRIGGER, "t"), (Kind.TRIGGER, "u"), (Kind.TARGET, "a")])
UNTILS = st.sampled_from([Until.STARTED, *Until, MINUTE, None])


class Store(RuleBasedStateMachine):
    """One store; each example begins with an empty one."""

    runner: ClassVar[asyncio.Runner]
    scene: ClassVar[Scene]

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(NOW)
        self.claimed: list[ClaimedRun] = []
        self.number = 0

    def do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(what)

    @initialize()
    def begin(self) -> None:
        self.scene.clock.instant = NOW
        self.scene.node = node()
        self.do(clear(self.scene.database))
        self.do(register(self.scene.database, self.scene.node, LEASE))

    @rule(
        key=KEYS,
        until=UNTILS,
        debounce=st.sampled_from([None, None, 20 * SECOND]),
        high=st.booleans(),
        trigger=TRIGGERS,
    )
    def ask(
        self, key: str, until: Until | timedelta | None, debounce: timedelta | None, trigger: str, *, high: bool
    ) -> None:
        self.number += 1
        wanted = request(
            key if until else None,
            until,
            payload=str(self.number).encode(),
            debounce=debounce if until else None,
            trigger=trigger,
            priority=Priority.HIGH if high else Priority.NORMAL,
        )
        accepted = self.do(self.scene.accept(wanted))
        asked = Asked(
            key=wanted.key,
            until=until,
            payload=wanted.payload,
            events={accepted.event_id},
            asker=trigger,
            debounce=wanted.debounce,
            high=high,
        )
        self._agree(asked, accepted.decisions[0])

    def _agree(self, asked: Asked, decision: Any) -> None:
        known = decision.run_id in self.model.runs
        verb, run = self.model.ask(asked)
        if verb == "enqueued" and not known:
            self.model.rename(run, decision.run_id)
        assert (decision.decision, decision.run_id) == (verb, run.id)

    @rule(what=PAUSABLE)
    def pause(self, what: Paused) -> None:
        self.do(self.scene.pause(*place_of(what)))
        self.model.paused.add(what)

    @precondition(lambda self: self.model.paused)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        what = data.draw(st.sampled_from(sorted(self.model.paused)))
        self.do(self.scene.resume(*place_of(what)))
        self.model.resume(what)

    @rule(slots=st.integers(1, 4))
    def claim(self, slots: int) -> None:
        """As a node does: what is held makes room for what comes after it."""
        self.do(self.scene.put_aside())
        self.model.put_aside()
        claimed = self.do(self.scene.claim(limit=LIMIT, slots=slots))
        assert sorted(run.id for run in claimed) == self.model.claim(slots, LIMIT)
        self.claimed += claimed

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def succeed(self, data: st.DataObject) -> None:
        self._settle(data, Succeeded(), self.model.succeed)

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        self._settle(data, RetryableFailure(), self.model.fail)

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        self._settle(data, PermanentFailure(), self.model.give_up)

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def break_off(self, data: st.DataObject) -> None:
        self._settle(data, BrokenOff(), self.model.break_off)

    def _settle(self, data: st.DataObject, outcome: Outcome, expected: Callable[[ModelRun], None]) -> None:
        """Of the last claims that there were: those that are stale change nothing."""
        claimed = data.draw(st.sampled_from(self.claimed[-4:]))
        run = self.model.runs[claimed.id]
        mine = claimed.node_id == self.scene.node.id and claimed.attempt == run.attempt
        ended = self.do(self.scene.settle(claimed, outcome))
        if mine and run.state is State.RUNNING:
            expected(run)
            assert ended is not None
            assert ended.state is run.state
        else:
            assert ended is None

    @precondition(lambda self: any(run.state is State.RUNNING for run in self.model.runs.values()))
    @rule()
    def crash(self) -> None:
        self.do(self.scene.crash())
        for run in [run for run in self.model.runs.values() if run.state is State.RUNNING]:
            self.model.lose(run)

    @precondition(lambda self: self.model.runs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(list(self.model.runs.values())[-3:]))
        assert self._unless_too_late(self.scene.cancel(run.id)) == self.model.cancel(run)

    @precondition(lambda self: any(run.state in FINAL for run in self.model.runs.values()))
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        old = data.draw(st.sampled_from([run for run in self.model.runs.values() if run.state in FINAL][-3:]))
        asked = Asked(
            key=old.key,
            until=Until.STARTED if old.key else None,
            payload=old.payload,
            events=set(old.events),
            asker=BY_HAND,
            high=True,
            retried_from=old.id,
        )
        self._agree(asked, self.do(self.scene.repeat(old.id)))

    @rule(span=st.sampled_from([SECOND, 10 * SECOND, MINUTE]))
    def wait(self, span: timedelta) -> None:
        self.scene.wait(span)
        self.model.now += span

    @invariant()
    def the_rows_are_as_the_model_says(self) -> None:
        assert self.do(told(self.scene)) == {run.id: shown(run) for run in self.model.runs.values()}

    @invariant()
    def the_promises_hold(self) -> None:
        self.do(check(self.scene, LIMIT))

    def _unless_too_late(self, what: Awaitable[State]) -> State | None:
        async def answer() -> State | None:
            with suppress(Conflict):
                return await what
            return None

        return self.do(answer())  # type: ignore[no-any-return]


def place_of(what: Paused) -> tuple[Kind, str, str]:
    kind, name = what
    return (kind, TARGET, name) if kind is Kind.TARGET else (kind, name, "")


FIELDS = ("state", "key", "payload", "behind", "superseded_by", "attempt", "failures", "losses", "claimable")


def shown(run: ModelRun) -> dict[str, Any]:
    final = {} if run.state in FINAL else {"due_at": run.due_at, "paused": bool(run.aside)}
    return {name: getattr(run, name) for name in FIELDS} | final | {"events": run.events}


async def told(scene: Scene) -> dict[str, dict[str, Any]]:
    """The same from the rows."""
    rows = await scene.rows(runs)
    events = {row.id: {row.event_id} for row in rows}
    for link in await scene.rows(run_events):
        events[link.run_id].add(link.event_id)
    return {
        row.id: {name: getattr(row, name) for name in FIELDS}
        | ({} if row.state in FINAL else {"due_at": row.due_at, "paused": row.paused})
        | {"events": events[row.id]}
        for row in rows
    }


@pytest.mark.timeout(600)  # which only a failure needs, to become a short one
def test_p02_the_store_does_what_the_model_says(database_url: str) -> None:
    with asyncio.Runner() as runner:
        opening = opened(database_url)
        scene = runner.run(opening.__aenter__())
        try:
            bound = type("BoundStore", (Store,), {"runner": runner, "scene": scene})
            run_state_machine_as_test(
                bound,
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=STEPS,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(opening.__aexit__(None, None, None))
