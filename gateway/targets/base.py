"""What every kind of target has in common: its limits and policies, and how one is called."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.core.breaker import Breaker
from gateway.core.duration import Duration
from gateway.core.outcome import Outcome
from gateway.core.progress import Progress
from gateway.core.rate import Rate
from gateway.core.retry import Retry
from gateway.core.template import Template, sees


class PerKey(BaseModel):
    """A limit for each key within a target."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Annotated[Template, sees("event", "payload", "item")] = Field(description="Rendered at accept.")
    concurrency: int = Field(1, ge=1, description="Runs of one key at the same time, over all nodes.")
    ordered: bool = Field(default=False, description="A run starts only when all older ones of its key are final.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.ordered and self.concurrency != 1:
            raise ValueError("ordered runs of a key go one by one: concurrency must be 1")
        return self


class Settings(BaseModel):
    """The keys that targets of all kinds share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    LATE_IS_UNREACHED: ClassVar[bool] = True
    """Whether a time-out says that the target could not be reached: what its breaker counts."""

    kind: str = Field(description="What it is; a preset says so by itself.")
    timeout: Duration = Field(timedelta(minutes=5), description="Of one attempt.")
    concurrency: int | None = Field(None, ge=1, description="Runs at once over all nodes; 1, or 16 with per_key.")
    per_key: PerKey | None = None
    rate: Rate | None = Field(None, description="Calls in a time over all nodes, such as 10/m; so many at once first.")
    retry: Retry = Retry()
    breaker: Breaker = Breaker()
    on_lost: Literal["repeat", "fail"] = Field("repeat", description="fail: for what must not be called twice.")
    nodes: tuple[str, ...] = Field((), description="Runs only on nodes with one of these `server.labels`.")
    hold: str | None = Field(None, description="A window in which requests queue and merge.")
    stale_after: Annotated[Duration, Field(gt=timedelta(0))] | None = Field(
        None, description="Without a success for so long it is stale: see `alerts`."
    )

    @property
    def limit(self) -> int:
        """How many runs may hold a lease at the same time."""
        return self.concurrency or (16 if self.per_key else 1)

    @property
    def follows(self) -> bool:
        """Whether its calls start jobs that go on, and are followed."""
        return False

    def open(self) -> AbstractAsyncContextManager["Target"]:
        """The target, with what it keeps open between calls."""
        raise NotImplementedError


class Call(Protocol):
    """What will be done, rendered; what else it holds is the business of its kind."""

    @property
    def shown(self) -> Mapping[str, Any]:
        """The same for people, secrets masked."""


class Attempt(Protocol):
    """What a target may say while it is at work."""

    run_id: str
    number: int
    traceparent: str
    """W3C trace context of this attempt, sent on as the `traceparent` header."""
    context: Mapping[str, Any]
    """What templates see: `event`, `events`, `payload`, `run`, `now`."""
    payload_bytes: bytes
    """The run's payload as the JSON text it is stored as."""
    at_once: bool
    """Whether a call that is cancelled has no time left to end well: another node may begin it again."""
    cancelling: bool
    """Whether somebody cancelled the run: then a call that is cancelled also ends what it started at the target."""
    handle: Mapping[str, Any] | None
    """By what the job is known that this run started at the target, in an earlier attempt or in this one."""
    following: bool
    """Whether that job is not known to have ended; whoever learns that it has says so here, which is stored with the
    outcome."""

    def log(self, text: str) -> None:
        """Adds to the attempt's log."""

    def progress(self, progress: Progress) -> None:
        """Says how far the call has come; the last word counts."""

    async def checkpoint(self, handle: Mapping[str, Any]) -> None:
        """Stores the handle of a job that may go on without us; it is safe when this returns."""


class Target(Protocol):
    """One configured target."""

    @property
    def settings(self) -> Settings:
        """Its section of the configuration."""

    @property
    def names(self) -> frozenset[str]:
        """The names its templates use, so that nobody loads what is not looked at."""

    def render(self, context: Mapping[str, Any]) -> Call:
        """The call for a run; pure. Raises `TemplateError`."""

    async def perform(self, call: Any, attempt: Attempt) -> Outcome:
        """Does what `render` of the same target gave.

        Raises nothing but `CancelledError`; the deadline is the caller's.
        """
