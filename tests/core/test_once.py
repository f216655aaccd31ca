"""The enqueue-once table, cell by cell as it is promised, and the limits of what a run merges."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.once import MAX_BYTES, MAX_EVENTS, TABLE, Held, Hold, Holder, Until, Verdict, debounced_due, decide
from gateway.core.run import State
from tests.core.samples import NOW

HOUR = timedelta(hours=1)
STARTED, FINISHED = Until.STARTED, Until.FINISHED
NEW, MERGE, BEHIND, SUPERSEDE, DUPLICATE = Verdict

# A row: the state of H (with "cancel requested"); then for a request with until: started, until: finished, until: 1h
# while H is half an hour old, the same when it is two hours old, and without once.
CELLS = [
    (None, False, NEW, NEW, NEW, NEW, NEW),
    (State.QUEUED, False, MERGE, MERGE, MERGE, MERGE, NEW),
    (State.RUNNING, False, BEHIND, DUPLICATE, DUPLICATE, BEHIND, NEW),
    (State.RETRYING, False, SUPERSEDE, DUPLICATE, DUPLICATE, DUPLICATE, NEW),
    (State.RUNNING, True, BEHIND, BEHIND, BEHIND, BEHIND, NEW),
    (State.SUCCEEDED, False, NEW, NEW, DUPLICATE, NEW, NEW),
    (State.FAILED, False, NEW, NEW, NEW, NEW, NEW),
    (State.CANCELLED, False, NEW, NEW, NEW, NEW, NEW),
    (State.SUPERSEDED, False, NEW, NEW, NEW, NEW, NEW),
]
REQUESTS = [(STARTED, 0.5), (FINISHED, 0.5), (HOUR, 0.5), (HOUR, 2), (None, 0.5)]


def held(state: State = State.QUEUED, *, age: float = 0.5, **parts: Any) -> Held:
    return Held(run_id="h", state=state, created_at=NOW - age * HOUR, **parts)


@pytest.mark.parametrize(
    ("state", "cancelling", "until", "age", "expected"),
    [
        (state, cancelling, until, age, verdict)
        for state, cancelling, *verdicts in CELLS
        for (until, age), verdict in zip(REQUESTS, verdicts, strict=True)
    ],
)
def test_p2_p3_each_cell_of_the_table(
    state: State | None, cancelling: bool, until: Until | timedelta | None, age: float, expected: Verdict
) -> None:
    holder = None if state is None else held(state, age=age, cancelling=cancelling)

    assert decide(holder, until, NOW) is expected


def test_the_table_has_every_cell() -> None:
    assert set(TABLE) == set(Holder)
    assert all(set(row) == set(Hold) for row in TABLE.values())


def test_every_state_holds_a_key_in_some_way() -> None:
    assert {held(state).holder for state in State} | {Holder.NONE, Holder.CANCELLING} == set(Holder)


@pytest.mark.parametrize(("age", "expected"), [(0.999, DUPLICATE), (1, NEW), (1.001, NEW)])
def test_x06_a_duration_is_over_at_its_very_end(age: float, expected: Verdict) -> None:
    assert decide(held(State.SUCCEEDED, age=age), HOUR, NOW) is expected


@pytest.mark.parametrize("state", [State.QUEUED, State.RETRYING])
@pytest.mark.parametrize("until", [STARTED, FINISHED, HOUR])
def test_a_run_takes_a_thousand_events_and_the_next_is_behind_it(state: State, until: Until | timedelta) -> None:
    unlimited = decide(held(state), until, NOW)
    full = decide(held(state, events=MAX_EVENTS), until, NOW)

    assert decide(held(state, events=MAX_EVENTS - 1), until, NOW) is unlimited
    assert full is (unlimited if unlimited is DUPLICATE else BEHIND)


@pytest.mark.parametrize(("size", "expected"), [(1, MERGE), (2, BEHIND)])
def test_a_run_takes_sixteen_mebibytes_and_the_next_is_behind_it(size: int, expected: Verdict) -> None:
    assert decide(held(size=MAX_BYTES - 1), STARTED, NOW, size) is expected


@pytest.mark.parametrize(("events", "expected"), [(10, MERGE), (11, BEHIND)])
def test_several_events_that_come_together_are_all_counted(events: int, expected: Verdict) -> None:
    assert decide(held(events=MAX_EVENTS - 10), STARTED, NOW, events=events) is expected


def test_a_request_larger_than_all_limits_still_makes_a_run_where_the_key_is_free() -> None:
    assert decide(None, STARTED, NOW, 2 * MAX_BYTES) is NEW


def test_a_run_that_follows_a_job_is_not_superseded() -> None:
    assert decide(held(State.RETRYING, following=True), STARTED, NOW) is BEHIND


@given(
    st.none() | st.builds(held, st.sampled_from(State), age=st.floats(0, 10), events=st.integers(1, 1000)),
    st.none() | st.sampled_from(Until) | st.timedeltas(timedelta(0), 9 * HOUR),
)
def test_p3_only_finished_and_durations_ever_drop_a_change(
    holder: Held | None, until: Until | timedelta | None
) -> None:
    verdict = decide(holder, until, NOW)

    assert verdict is not DUPLICATE or until is FINISHED or isinstance(until, timedelta)


@given(st.builds(held, st.sampled_from([State.RUNNING, State.RETRYING]), age=st.floats(0, 10)), st.sampled_from(Until))
def test_p4_a_run_in_progress_never_gets_a_rival_of_its_key(holder: Held, until: Until) -> None:
    assert decide(holder, until, NOW) is not NEW


def test_a_debounced_run_waits_for_silence() -> None:
    first = NOW - timedelta(seconds=10)

    assert debounced_due(NOW, timedelta(seconds=30), first, None) == NOW + timedelta(seconds=30)


@pytest.mark.parametrize(("max_wait", "waited"), [(None, 300), (timedelta(minutes=2), 120)])
def test_a_debounced_run_waits_no_longer_than_max_wait_or_ten_times_the_debounce(
    max_wait: timedelta | None, waited: int
) -> None:
    first = NOW - timedelta(seconds=290)

    assert debounced_due(NOW, timedelta(seconds=30), first, max_wait) == first + timedelta(seconds=waited)
