"""What triggers would have made of recorded events, beside what was made of them.

Runs that would be asked for as they were, under the same target and key, count as they were. How many runs the other
requests would make depends on how long these take: they are counted as if each ended as soon as it was due.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest

from gateway.core.once import Held, Verdict, debounced_due, decide
from gateway.core.request import Decision, Request, Verb
from gateway.core.run import State

NONE = "none"
REQUESTED = "requested"
OTHERWISE = "requested otherwise"
"""Of another target, or under another key."""
_REQUESTS = frozenset({Verb.ENQUEUED, Verb.MERGED, Verb.DUPLICATE})

Step = Decision | Request


@dataclass(frozen=True, slots=True)
class Change:
    """A trigger that decides otherwise; before and after are verbs, or one of the words above."""

    trigger: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Made:
    """What a recorded run was asked for."""

    target: str
    key: str | None


@dataclass(slots=True)
class Comparison:
    """Grows with each event that is compared; the order of the events does not matter.

    `runs` are the recorded ones by id. One that is not among them is taken for the one that is asked for.
    """

    runs: Mapping[str, Made]
    events: int = 0
    changes: Counter[Change] = field(default_factory=Counter)
    examples: dict[Change, str] = field(default_factory=dict)
    """An event of each change."""
    _made: set[str] = field(default_factory=set)
    _kept: set[str] = field(default_factory=set)
    _others: list[tuple[datetime, Request]] = field(default_factory=list)

    def add(self, event_id: str, received_at: datetime, recorded: Iterable[Decision], steps: Iterable[Step]) -> None:
        """Compares what was decided about an event with what would be."""
        self.events += 1
        for trigger, (old, new) in _by_trigger(recorded, steps).items():
            self._made |= {one.run_id for one in old if one.decision is Verb.ENQUEUED and one.run_id}
            left, changed = self._without_the_same(old, new)
            self._others += [(received_at, step) for step in changed if isinstance(step, Request)]
            for before, after in zip_longest(map(_word, left), map(_word, changed), fillvalue=NONE):
                change = Change(trigger, before, OTHERWISE if before == after else after)
                self.changes[change] += 1
                self.examples.setdefault(change, event_id)

    def targets(self) -> dict[str, tuple[int, int]]:
        """How many runs each target was asked for by triggers, and would be."""
        made = self._made & self.runs.keys()
        before = Counter(self.runs[run_id].target for run_id in made)
        after = Counter(self.runs[run_id].target for run_id in made & self._kept) + estimate(self._others)
        return {name: (before[name], after[name]) for name in sorted(before | after)}

    def _without_the_same(self, old: list[Decision], new: list[Step]) -> tuple[list[Decision], list[Step]]:
        """What is left of both sides; the runs of what they have in common are kept."""
        left, changed = list(old), []
        for step in new:
            same = next((one for one in left if self._is_same(one, step)), None)
            if same is None:
                changed.append(step)
                continue
            left.remove(same)
            if same.run_id:
                self._kept.add(same.run_id)
        return left, changed

    def _is_same(self, before: Decision, after: Step) -> bool:
        if isinstance(after, Decision) or before.decision not in _REQUESTS:
            return _word(before) == _word(after)
        made = self.runs.get(before.run_id or "")
        return made is None or made == Made(after.target, after.key)


def estimate(requests: Sequence[tuple[datetime, Request]]) -> Counter[str]:
    """How many runs each target gets from these requests, were there nothing else and no run took any time."""
    runs: Counter[str] = Counter()
    holders: dict[Made, tuple[datetime, datetime]] = {}
    for at, request in sorted(requests, key=lambda pair: pair[0]):
        made = Made(request.target, request.key)
        created_at, due_at = holders.get(made, (at, at))
        held = _held(created_at, due_at, at) if made in holders else None
        verdict = decide(held, request.until, at)
        if verdict is Verdict.DUPLICATE:
            continue
        if verdict is not Verdict.MERGE:
            runs[request.target] += 1
            created_at = due_at = at
        if request.debounce is not None:
            due_at = debounced_due(at, request.debounce, created_at, request.max_wait)
        holders[made] = created_at, due_at
    return runs


def _held(created_at: datetime, due_at: datetime, now: datetime) -> Held:
    state = State.QUEUED if now < due_at else State.SUCCEEDED
    return Held(run_id="", state=state, created_at=created_at)


def _by_trigger(recorded: Iterable[Decision], steps: Iterable[Step]) -> dict[str, tuple[list[Decision], list[Step]]]:
    """What is no trigger's decision, such as a schedule's own, is not looked at."""
    found: dict[str, tuple[list[Decision], list[Step]]] = defaultdict(lambda: ([], []))
    for decision in recorded:
        if decision.trigger is not None:
            found[decision.trigger][0].append(decision)
    for step in steps:
        if step.trigger is not None:
            found[step.trigger][1].append(step)
    return found


def _word(step: Step | None) -> str:
    if step is None:
        return NONE
    if isinstance(step, Request) or step.decision in _REQUESTS:
        return REQUESTED
    return step.decision
