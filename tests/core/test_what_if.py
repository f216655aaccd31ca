"""What would have been decided otherwise, and how many runs it would have made."""

from datetime import timedelta
from typing import Any

import pytest

from gateway.core.once import Until
from gateway.core.request import Decision, Request, Verb
from gateway.core.what_if import Change, Comparison, Made, Step, estimate
from tests.core.samples import NOW

SECOND = timedelta(seconds=1)
RUNS = {"r1": Made("sync", "k"), "r2": Made("other", None)}


def asked(trigger: str = "t", target: str = "sync", key: str | None = "k", **parts: Any) -> Request:
    until = parts.pop("until", Until.STARTED) if key is not None else None
    return Request(target=target, payload=b"{}", trigger=trigger, key=key, until=until, **parts)


def decided(verb: Verb, run_id: str | None = None, trigger: str | None = "t") -> Decision:
    return Decision(trigger=trigger, decision=verb, run_id=run_id)


def compared(*pairs: tuple[list[Decision], list[Step]]) -> Comparison:
    comparison = Comparison(RUNS)
    for number, (recorded, steps) in enumerate(pairs):
        comparison.add(f"e{number}", NOW + number * SECOND, recorded, steps)
    return comparison


MADE = decided(Verb.ENQUEUED, "r1")


def test_what_is_asked_for_as_before_is_no_change() -> None:
    merged, filtered = decided(Verb.MERGED, "r1"), decided(Verb.FILTERED)
    same = compared(([MADE], [asked()]), ([merged], [asked()]), ([filtered], [filtered]))

    assert (same.events, same.changes) == (3, {})
    assert same.targets() == {"sync": (1, 1)}


@pytest.mark.parametrize(
    ("recorded", "steps", "change", "targets"),
    [
        ([MADE], [], Change("t", "requested", "none"), {"sync": (1, 0)}),
        ([MADE], [decided(Verb.FILTERED)], Change("t", "requested", "filtered"), {"sync": (1, 0)}),
        ([MADE], [decided(Verb.SHADOW)], Change("t", "requested", "shadow"), {"sync": (1, 0)}),
        ([], [asked()], Change("t", "none", "requested"), {"sync": (0, 1)}),
        ([decided(Verb.FILTERED)], [asked()], Change("t", "filtered", "requested"), {"sync": (0, 1)}),
        ([decided(Verb.ERROR)], [decided(Verb.FILTERED)], Change("t", "error", "filtered"), {}),
        ([MADE], [asked(key="l")], Change("t", "requested", "requested otherwise"), {"sync": (1, 1)}),
        (
            [MADE],
            [asked(target="new")],
            Change("t", "requested", "requested otherwise"),
            {"sync": (1, 0), "new": (0, 1)},
        ),
    ],
)
def test_what_is_decided_otherwise_is_a_change(
    recorded: list[Decision], steps: list[Step], change: Change, targets: dict[str, tuple[int, int]]
) -> None:
    comparison = compared((recorded, steps))

    assert comparison.changes == {change: 1}
    assert comparison.examples == {change: "e0"}
    assert comparison.targets() == targets


def test_a_run_stays_as_long_as_one_of_its_events_asks_for_it() -> None:
    comparison = compared(([MADE], []), ([decided(Verb.MERGED, "r1")], [asked()]))

    assert comparison.targets() == {"sync": (1, 1)}


def test_a_run_that_was_made_before_is_not_counted() -> None:
    assert compared(([decided(Verb.MERGED, "r1")], [asked()])).targets() == {}


def test_items_are_compared_whatever_their_order() -> None:
    recorded = [MADE, decided(Verb.ENQUEUED, "r2"), decided(Verb.FILTERED)]
    comparison = compared((recorded, [decided(Verb.FILTERED), asked(target="other", key=None), asked()]))

    assert comparison.changes == {}


def test_a_run_that_is_not_known_any_more_is_taken_for_the_same() -> None:
    assert compared(([decided(Verb.MERGED, "gone")], [asked()])).changes == {}


def test_what_a_schedule_or_a_person_asked_for_is_not_compared() -> None:
    comparison = compared(([decided(Verb.ENQUEUED, "r1", trigger=None)], [decided(Verb.ERROR, trigger=None)]))

    assert (comparison.changes, comparison.targets()) == ({}, {})


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ([], {}),
        ([(0, asked(key=None)), (0, asked(key=None))], {"sync": 2}),
        ([(0, asked()), (1, asked())], {"sync": 2}),
        ([(0, asked(debounce=30 * SECOND)), (29, asked(debounce=30 * SECOND))], {"sync": 1}),
        ([(0, asked(debounce=30 * SECOND)), (31, asked(debounce=30 * SECOND))], {"sync": 2}),
        ([(0, asked(debounce=SECOND)), (0, asked()), (0, asked())], {"sync": 1}),
        ([(29, asked(debounce=30 * SECOND)), (0, asked(debounce=30 * SECOND)), (58, asked())], {"sync": 1}),
        ([(at, asked(debounce=2 * SECOND, max_wait=3 * SECOND)) for at in range(6)], {"sync": 2}),
        ([(0, asked(until=60 * SECOND)), (59, asked(until=60 * SECOND))], {"sync": 1}),
        ([(0, asked(until=60 * SECOND)), (61, asked(until=60 * SECOND))], {"sync": 2}),
        ([(0, asked(key="a", debounce=SECOND)), (0, asked(key="b", debounce=SECOND))], {"sync": 2}),
    ],
)
def test_runs_are_estimated_by_the_enqueue_once_table(
    requests: list[tuple[int, Request]], expected: dict[str, int]
) -> None:
    assert estimate([(NOW + at * SECOND, request) for at, request in requests]) == expected
