"""What the store shall do, written as plainly as possible: no database, no concurrency, nothing to be fast about."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.core.ids import new_id
from gateway.core.once import Until
from gateway.core.run import CLAIMABLE, FINAL, State
from gateway.store.pause import Kind

RETRY_AFTER = timedelta(seconds=10)
ATTEMPTS = 5
LOSSES = 5

Paused = tuple[Kind, str]
"""A trigger, or a key of the target."""


@dataclass(slots=True)
class ModelRun:
    id: str
    key: str | None
    payload: bytes
    created_at: datetime
    due_at: datetime
    high: bool
    events: set[str]
    askers: set[str]
    state: State = State.QUEUED
    aside: frozenset[Paused] = frozenset()
    behind: str | None = None
    not_before: datetime | None = None
    superseded_by: str | None = None
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    cancelling: bool = False

    @property
    def claimable(self) -> bool:
        return self.state in CLAIMABLE and self.behind is None and not self.aside


@dataclass(slots=True, kw_only=True)
class Asked:
    """A request with what it brings."""

    key: str | None
    until: Until | timedelta | None
    payload: bytes
    events: set[str]
    asker: str
    debounce: timedelta | None = None
    high: bool = False
    retried_from: str | None = None


@dataclass(slots=True)
class Model:
    now: datetime
    runs: dict[str, ModelRun] = field(default_factory=dict)
    holds: dict[str, tuple[str, datetime | None]] = field(default_factory=dict)
    paused: set[Paused] = field(default_factory=set)

    def ask(self, asked: Asked) -> tuple[str, ModelRun]:
        """The decision, and the run it names; a new one has a made-up id until it is renamed."""
        hold = self.holds.get(asked.key) if asked.key else None
        holder = self.runs[hold[0]] if hold else None
        if holder is None or asked.until is None or holder.state in (State.FAILED, State.CANCELLED, State.SUPERSEDED):
            return "enqueued", self._start(asked)
        over = isinstance(asked.until, timedelta) and self.now >= holder.created_at + asked.until
        match holder.state:
            case State.QUEUED:
                return "merged", self._merge(asked, holder)
            case State.RUNNING if holder.cancelling or over or asked.until is Until.STARTED:
                return "enqueued", self._start(asked, behind=holder)
            case State.RETRYING if asked.until is Until.STARTED:
                return "enqueued", self._supersede(asked, holder)
            case State.SUCCEEDED if over or isinstance(asked.until, Until):
                return "enqueued", self._start(asked)
        return "duplicate", holder

    def _start(self, asked: Asked, behind: ModelRun | None = None) -> ModelRun:
        due_at = self.now + (asked.debounce or timedelta(0))
        payload = self._newer(asked, behind) if behind else asked.payload
        run = ModelRun(new_id(), asked.key, payload, self.now, due_at, asked.high, set(asked.events), {asked.asker})
        run.behind = behind.id if behind else None
        self.runs[run.id] = run
        if asked.key is not None:
            self.holds[asked.key] = (run.id, self.now + asked.until if isinstance(asked.until, timedelta) else None)
        return run

    def _merge(self, asked: Asked, run: ModelRun) -> ModelRun:
        run.payload = self._newer(asked, run)
        if asked.high:
            run.due_at = min(run.due_at, self.now)
        elif asked.debounce and not run.high:
            run.due_at = min(self.now + asked.debounce, run.created_at + 10 * asked.debounce)
        run.due_at = max(run.due_at, run.not_before or run.created_at)
        run.high |= asked.high
        run.events |= asked.events
        if asked.asker not in run.askers:
            run.aside = frozenset()
            run.askers.add(asked.asker)
        return run

    def _supersede(self, asked: Asked, older: ModelRun) -> ModelRun:
        run = self._start(asked)
        run.payload = self._newer(asked, older)
        self._take_over(older, run, older.due_at)
        return run

    @staticmethod
    def _newer(asked: Asked, run: ModelRun) -> bytes:
        return run.payload if asked.retried_from and asked.retried_from < run.id else asked.payload

    def _take_over(self, older: ModelRun, newer: ModelRun, floor: datetime) -> None:
        older.state, older.superseded_by = State.SUPERSEDED, newer.id
        newer.behind, newer.not_before = None, floor
        newer.due_at = max(newer.due_at, floor)
        newer.events |= older.events
        newer.askers |= older.askers
        older.aside = frozenset()

    def rename(self, run: ModelRun, real: str) -> None:
        """Gives a new run the id that it really has."""
        made_up = run.id
        self.runs = {(real if run_id == made_up else run_id): one for run_id, one in self.runs.items()}
        for one in self.runs.values():
            one.superseded_by = real if one.superseded_by == made_up else one.superseded_by
        if run.key is not None:
            self.holds[run.key] = (real, self.holds[run.key][1])
        run.id = real

    def resume(self, what: Paused) -> None:
        self.paused.discard(what)
        for run in self.runs.values():
            run.aside = frozenset() if what in run.aside else run.aside

    def put_aside(self) -> None:
        for run in self.runs.values():
            if run.claimable and run.due_at <= self.now:
                run.aside = self._held(run)

    def _held(self, run: ModelRun) -> frozenset[Paused]:
        """A key holds its runs, and a trigger those that nobody else asks for."""
        if (of_key := (Kind.TARGET, run.key or "")) in self.paused:
            return frozenset([of_key])
        held = frozenset((Kind.TRIGGER, asker) for asker in run.askers)
        return held if held <= self.paused else frozenset()

    def claim(self, slots: int, limit: int) -> list[str]:
        free = min(slots, limit - sum(run.state is State.RUNNING for run in self.runs.values()))
        due = [run for run in self.runs.values() if run.claimable and run.due_at <= self.now]
        first = sorted(due, key=lambda run: (not run.high, run.due_at, run.id))[: max(0, free)]
        for run in first:
            run.state = State.RUNNING
            run.attempt += 1
        return sorted(run.id for run in first)

    def succeed(self, run: ModelRun) -> None:
        self._end(run, State.SUCCEEDED)

    def give_up(self, run: ModelRun) -> None:
        run.failures += 1 - run.cancelling
        self._end(run, State.CANCELLED if run.cancelling else State.FAILED)

    def fail(self, run: ModelRun) -> None:
        run.failures += 1 - run.cancelling
        self._try_again(run, self.now + RETRY_AFTER, enough=run.failures >= ATTEMPTS)

    def lose(self, run: ModelRun) -> None:
        run.losses += 1 - run.cancelling
        self._try_again(run, self.now, enough=run.losses >= LOSSES)

    def break_off(self, run: ModelRun) -> None:
        self._try_again(run, self.now, enough=False)

    def _try_again(self, run: ModelRun, due_at: datetime, *, enough: bool) -> None:
        if run.cancelling or enough:
            self._end(run, State.CANCELLED if run.cancelling else State.FAILED)
        elif newer := self._behind(run):
            self._take_over(run, newer, due_at)
        else:
            run.state, run.due_at = State.RETRYING, due_at

    def cancel(self, run: ModelRun) -> State | None:
        """The state of the run after it; `None` where it is too late."""
        if run.state is State.RUNNING:
            run.cancelling = True
        elif run.state not in FINAL:
            self._end(run, State.CANCELLED)
        return run.state if run.state in (State.RUNNING, State.CANCELLED) else None

    def _end(self, run: ModelRun, state: State) -> None:
        if newer := self._behind(run):
            newer.behind = run.behind
        self._let_go(run, state)
        run.state, run.behind, run.aside = state, None, frozenset()

    def _let_go(self, run: ModelRun, state: State) -> None:
        held_by, until = self.holds.get(run.key or "", (None, None))
        if held_by != run.id or run.key is None:
            return
        if run.behind is not None:
            self.holds[run.key] = (run.behind, None)
        elif not (state is State.SUCCEEDED and until and self.now < until):
            del self.holds[run.key]

    def _behind(self, run: ModelRun) -> ModelRun | None:
        return next((one for one in self.runs.values() if one.behind == run.id), None)
