"""The life of a run: each pair of state and move either has its one way, or is refused."""

from itertools import product

import pytest

from gateway.core.errors import IllegalTransition
from gateway.core.run import CLAIMABLE, FINAL, TRANSITIONS, UNFINISHED, Move, State, after

WAYS = {
    (State.QUEUED, Move.CLAIM): State.RUNNING,
    (State.QUEUED, Move.SUPERSEDE): State.SUPERSEDED,
    (State.QUEUED, Move.CANCEL): State.CANCELLED,
    (State.RUNNING, Move.SUCCEED): State.SUCCEEDED,
    (State.RUNNING, Move.RETRY): State.RETRYING,
    (State.RUNNING, Move.FAIL): State.FAILED,
    (State.RUNNING, Move.SUPERSEDE): State.SUPERSEDED,
    (State.RUNNING, Move.CANCEL): State.CANCELLED,
    (State.RETRYING, Move.CLAIM): State.RUNNING,
    (State.RETRYING, Move.SUPERSEDE): State.SUPERSEDED,
    (State.RETRYING, Move.CANCEL): State.CANCELLED,
}


@pytest.mark.parametrize(("state", "move"), list(product(State, Move)))
def test_a_run_goes_only_where_the_table_says(state: State, move: Move) -> None:
    if (state, move) in WAYS:
        assert after(state, move) is WAYS[state, move]
    else:
        with pytest.raises(IllegalTransition, match=f"a {state} run cannot {move}"):
            after(state, move)


def test_the_sets_of_states_follow_from_the_table() -> None:
    assert {State.SUCCEEDED, State.FAILED, State.SUPERSEDED, State.CANCELLED} == FINAL
    assert {State.QUEUED, State.RUNNING, State.RETRYING} == UNFINISHED
    assert {State.QUEUED, State.RETRYING} == CLAIMABLE


def test_every_state_is_in_the_table_and_can_be_reached() -> None:
    reached = {State.QUEUED} | {state for ways in TRANSITIONS.values() for state in ways.values()}

    assert set(TRANSITIONS) == set(State) == reached


@pytest.mark.parametrize("state", sorted(UNFINISHED))
def test_any_unfinished_run_can_be_cancelled(state: State) -> None:
    assert after(state, Move.CANCEL) is State.CANCELLED
