"""The documents that the API shows, as far as no type of the parts behind it says what is in them."""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from gateway.core.request import Decision
from gateway.core.run import State
from gateway.store.pause import Kind
from gateway.store.stats import Figures, LastEvent

T = TypeVar("T")


class Document(BaseModel):
    """All that is in it is always there; what does not apply is null."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"additionalProperties": False})


class Listed(Document, Generic[T]):
    """A page of a list."""

    items: list[T]
    next: str | None = Field(description="The `cursor` of the following page; null on the last one.")

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        return f"{params[0].__name__}List"


class FieldError(Document):
    path: str = Field(description="Of the field, with dots.")
    message: str


class Problem(BaseModel):
    """Why something was refused (RFC 9457)."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str
    errors: list[FieldError] = Field(default_factory=list, description="What is wrong with each field.")


class Event(Document):
    """Something that happened, and what was decided about it."""

    id: UUID
    sender_id: str | None = Field(description="By which its sender knows it.")
    source: str
    type: str
    subject: str | None
    time: datetime
    received_at: datetime
    deliveries: int = Field(description="How often it came.")
    data: Any = Field(description="The whole body.")
    object: Any = Field(description="The thing it is about, where the source knows.")
    changed: list[str] = Field(description="Names of the fields that changed.")
    headers: dict[str, str]
    replay_of: UUID | None = Field(description="The event that this one repeats.")
    decisions: list[Decision]
    run_ids: list[UUID]


class Run(Document):
    """What a trigger, a schedule or a person asked of a target, and what became of it."""

    id: UUID
    state: State
    target: str
    trigger: str | None
    schedule: str | None
    key: str | None
    payload: Any
    created_at: datetime
    due_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempt: int = Field(description="The number of the latest; 0 before the first.")
    events: int = Field(description="How many went into it.")
    scheduled_for: datetime | None = Field(description="The instant of the tick it comes from.")
    late_by: float | None = Field(description="Seconds from that instant to its start.")
    missed: int | None = Field(description="How many ticks before that one came to nothing.")
    progress: Any = Field(description="What its target last said of how far it is.")
    output: Any
    reason: str | None
    cancelling: bool = Field(description="Somebody has cancelled it, and its call has not ended yet.")
    waiting_for: str | None = Field(description="Why it is not running yet.")
    requested_by: str | None
    retried_from: UUID | None
    superseded_by: UUID | None
    origin_event_id: UUID | None = Field(description="The first event of the chain that led to it.")


class Attempt(Document):
    """One call of the target."""

    number: int
    node: str | None
    started_at: datetime
    finished_at: datetime
    outcome: str
    status: int | None = Field(description="Of the answer, or the exit code of a command.")
    reason: str | None
    log: str = Field(description="The last lines.")


class RunPage(Run):
    """A run with its events and its calls that have ended."""

    event_ids: list[UUID]
    attempts: list[Attempt]


class Pause(Document):
    by: str | None
    reason: str | None
    until: datetime | None = Field(description="When it ends by itself.")


class PausablePage(Document):
    """Whether a trigger or a source is paused, and which of its keys are."""

    name: str
    paused: Pause | None
    paused_keys: dict[str, Pause]


class StandingPause(Pause):
    """A pause, and of what."""

    kind: Kind
    name: str
    key: str = Field(description="Empty where all of it is paused.")


class Pauses(Document):
    pauses: list[StandingPause]


class Breaker(Document):
    failures: int = Field(description="In a row, to reach the target.")
    open_until: datetime | None = Field(description="The time of the next try.")


class Load(Document):
    """How much there is to do for a target."""

    name: str
    state: Literal["ready", "paused", "unreachable", "held"]
    waiting: int
    running: int


class Target(Load):
    """A target of the configuration, and how it is."""

    kind: str
    paused: Pause | None
    breaker: Breaker | None = Field(description="Null while the target can be reached.")


class LastOutcome(Document):
    id: UUID
    state: State
    finished_at: datetime | None
    reason: str | None


class TargetPage(Target):
    """A target with the runs of it that ended last."""

    paused_keys: dict[str, Pause]
    last_outcomes: list[LastOutcome]


class ScheduleSummary(BaseModel):
    """The fields of its definition as they were given, and how it is."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str
    origin: Literal["file", "api"]
    enabled: bool
    paused: Pause | None
    last_tick_at: datetime | None
    last_run_id: UUID | None
    ticks: int
    next_due: datetime | None
    waiting_for: str | None = Field(description="What has to happen before it runs again, beside its time to come.")
    created_at: datetime
    updated_at: datetime
    updated_by: str | None


class Skipped(Document):
    """Ticks in a row that made no run, for one reason."""

    since: datetime = Field(alias="from")
    to: datetime
    count: int
    reason: str


class SchedulePage(ScheduleSummary):
    """A schedule with its next instants, and the ticks of it that made no run."""

    upcoming: list[datetime] = []
    skipped: list[Skipped]


class UpcomingTick(Document):
    schedule: str
    at: datetime
    local: datetime = Field(description="The same in the zone of the schedule.")
    target: str | None
    starts_at: datetime | None = Field(None, description="With jitter.")
    note: str | None = Field(None, description="What is peculiar about its local time.")


class Upcoming(Document):
    """The ticks to come, by time."""

    items: list[UpcomingTick]
    truncated: dict[str, int] = Field(description="Of how many of a schedule there are more than are shown.")


class ThisNode(Document):
    id: str
    name: str
    config_hash: str
    ignored: dict[str, int] = Field(description="Events that each source was told to ignore, since the node is up.")


class Node(Document):
    id: str
    name: str
    version: str
    config_hash: str
    labels: list[str]
    targets: list[str]
    started_at: datetime
    lease_until: datetime | None


class Leader(Document):
    node_id: str
    node: str
    epoch: int
    lease_until: datetime


class Status(Document):
    """The gateway at a glance: the node that answers, all nodes, who leads the clock, and every target."""

    version: str
    node: ThisNode
    nodes: list[Node]
    leader: Leader | None
    weaknesses: list[str]
    pauses: list[StandingPause]
    targets: list[Load]


class Audited(Document):
    """Something that somebody did by hand."""

    id: UUID
    at: datetime
    actor: str = Field(description="The name of the token; local where there are none.")
    address: str | None
    action: str = Field(description="Such as cancel.")
    kind: str = Field(description="What it was done to, such as run; runs where it may be several.")
    name: str | None = Field(description="Which one; of a run or an event its id.")
    reason: str | None
    outcome: str | None
    count: int = Field(description="How many times it was done, or to how many.")
    asked: Any = Field(description="What else was asked for, without the data of events and calls.")


class Refused(Document):
    id: UUID
    reason: str


class Done(Document):
    """What was done to the runs that a filter selects."""

    matched: int = Field(description="How many it selects, from the cursor on.")
    done: int
    remaining: int = Field(description="Those beyond `max`.")
    ids: list[UUID] = Field(description="The runs it was done to; of a dry run, those it would be done to.")
    run_ids: list[UUID] = Field(description="The runs that it led to; those of the same key are one.")
    refused: list[Refused] = Field(description="What has ended, or begun anew, meanwhile.")
    dry_run: bool
    next: str | None = Field(description="The `cursor` that goes on with those that remain.")


class Active(PausablePage):
    """What happened, and with what event last; null where it has been pruned."""

    counts: Figures
    last_event: LastEvent | None


class TriggerSummary(Active):
    """A trigger of the configuration."""

    on: list[dict[str, Any]] = Field(description="What it listens to.")
    target: str
    mode: Literal["run", "shadow"]


class SourceSummary(Active):
    """A source of the configuration."""

    kind: str
    path: str | None = Field(description="Of a webhook.")
    queue: str | None = Field(description="That is consumed.")
    state: str = Field(description="ok, or what is wrong.")
    ignored: int = Field(description="Events that it was told to ignore, since this node is up.")
