"""The life of a run. Every state, every way between two states, and every set of states is in this file."""

from enum import StrEnum

from gateway.core.errors import IllegalTransition


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


class Move(StrEnum):
    """What happens to a run."""

    CLAIM = "claim"
    SUCCEED = "succeed"
    RETRY = "retry"
    FAIL = "fail"
    SUPERSEDE = "supersede"
    CANCEL = "cancel"


# A failed attempt with a successor waiting makes two steps at once: running, (retrying,) superseded.
TRANSITIONS: dict[State, dict[Move, State]] = {
    State.QUEUED: {
        Move.CLAIM: State.RUNNING,
        Move.SUPERSEDE: State.SUPERSEDED,
        Move.CANCEL: State.CANCELLED,
    },
    State.RUNNING: {
        Move.SUCCEED: State.SUCCEEDED,
        Move.RETRY: State.RETRYING,
        Move.FAIL: State.FAILED,
        Move.SUPERSEDE: State.SUPERSEDED,
        Move.CANCEL: State.CANCELLED,
    },
    State.RETRYING: {
        Move.CLAIM: State.RUNNING,
        Move.SUPERSEDE: State.SUPERSEDED,
        Move.CANCEL: State.CANCELLED,
    },
    State.SUCCEEDED: {},
    State.FAILED: {},
    State.SUPERSEDED: {},
    State.CANCELLED: {},
}

FINAL = frozenset(state for state, moves in TRANSITIONS.items() if not moves)
UNFINISHED = frozenset(State) - FINAL
CLAIMABLE = frozenset(state for state, moves in TRANSITIONS.items() if Move.CLAIM in moves)


def after(state: State, move: Move) -> State:
    """The state after a move. Raises `IllegalTransition` where the table has no such way."""
    try:
        return TRANSITIONS[state][move]
    except KeyError:
        raise IllegalTransition(f"a {state} run cannot {move}") from None
