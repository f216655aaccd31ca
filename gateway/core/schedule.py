"""A schedule: a source that makes events from time, and what is requested at each of its ticks."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from gateway.core.duration import Duration
from gateway.core.local_time import Zone
from gateway.core.once import Until
from gateway.core.template import Template, Tree, sees
from gateway.core.times import Between, Times
from gateway.core.timing import Moment, Timing, instant_of

EXAMPLE: dict[str, JsonValue] = {
    "cron": "0 1 * * *",
    "timezone": "Europe/Amsterdam",
    "target": "sync",
    "payload": {"site": "ams1"},
}
"""Of a schedule, for descriptions."""
_ZERO = timedelta(0)
_A_DAY = datetime(2026, 1, 1, tzinfo=UTC)
"""From which on it is looked for an instant that all members of `all` share; any other would do."""


class Overlap(StrEnum):
    """What a tick does while an earlier run of its schedule is not over."""

    QUEUE = "queue"
    SKIP = "skip"
    ALLOW = "allow"
    CANCEL_RUNNING = "cancel_running"


_UNTIL = {
    Overlap.QUEUE: Until.STARTED,
    Overlap.SKIP: Until.FINISHED,
    Overlap.ALLOW: None,
    Overlap.CANCEL_RUNNING: Until.STARTED,
}


class Misfire(BaseModel):
    """What becomes of ticks that nobody was there to make."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    grace: Annotated[Duration, Field(ge=_ZERO)] = Field(timedelta(hours=1), description="Older ones are skipped.")
    policy: Literal["once", "all", "skip"] = Field("once", description="once: the newest; all: each; skip: none late.")
    max: int = Field(100, ge=1, le=1000, description="How many `all` runs at most; the newest ones.")


class Key(BaseModel):
    """Under which key the ticks are requested; `overlap` says how long it holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Annotated[Template, sees("event")] = Field(description="Requests with one key meet, whoever makes them.")


class Schedule(Timing):
    """When, what for, and what if it is late, or not over when the next is due."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    KINDS: ClassVar[tuple[str, ...]] = (*Timing.KINDS, "continuous")
    TIMING: ClassVar[tuple[str, ...]] = (*KINDS, "anchor", "pause", "timezone", "start", "end")
    """The fields that say when it is due."""

    continuous: bool | None = Field(None, description="The next starts when the last has ended.")
    pause: Annotated[Duration, Field(ge=_ZERO)] = Field(_ZERO, description="With `continuous`: between two runs.")
    timezone: Zone = Field(ZoneInfo("UTC"), description="In which local times are meant, such as Europe/Amsterdam.")
    start: Moment | None = Field(None, description="No tick before it.")
    end: Moment | None = Field(None, description="No tick from then on.")
    jitter: Annotated[Duration, Field(ge=_ZERO)] = Field(_ZERO, description="Starts up to so much later.")
    enabled: bool = Field(default=True, description="Whether there are ticks at all.")
    target: str | None = Field(None, description="Without one, it is only a source that triggers listen to.")
    payload: Annotated[Tree, sees("event")] = Field(Tree({}), description="What the target is given.")
    once: Key | None = Field(None, description="Default key: the name of the schedule.")
    misfire: Misfire = Field(default_factory=Misfire)
    overlap: Overlap = Field(Overlap.QUEUE, description="queue: at most one waits; skip, allow, cancel_running.")
    fresh_for: Annotated[Duration, Field(gt=_ZERO)] | None = Field(
        None, description="Not run if a run of the same key started within this time and succeeded."
    )
    expires: Annotated[Duration, Field(gt=_ZERO)] | None = Field(None, description="Not started by then: cancelled.")
    not_during: str | None = Field(None, description="Name of a window in which there are no ticks.")

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.pause and not self.continuous:
            raise ValueError("pause goes with continuous")
        if self.continuous and (self.jitter or self.fresh_for or "misfire" in self.model_fields_set):
            raise ValueError("jitter, misfire and fresh_for go with times; continuous has none")
        start, end = self.bounds
        if start and end and end <= start:
            raise ValueError("end: expected a time after start")
        if reason := self.never_fires(self.timezone, "", start or _A_DAY, start):
            raise ValueError(reason)
        if self.overlap is Overlap.ALLOW and (self.once or self.fresh_for):
            raise ValueError("overlap: allow has no key, which once and fresh_for need")
        if self.target is None and (self.continuous or self.once or self.fresh_for or self.expires):
            raise ValueError("continuous, once, fresh_for and expires go with target")
        if self.expires and self.expires <= self.jitter:
            raise ValueError("expires: expected more than jitter")
        return self

    @property
    def bounds(self) -> tuple[datetime | None, datetime | None]:
        """Its first instant, and the one from which on there are no more."""
        start, end = (moment and instant_of(moment, self.timezone) for moment in (self.start, self.end))
        return start, end

    def due_times(self, name: str, since: datetime) -> Times:
        """When a schedule of this name is due; intervals count from `since`, unless they have an anchor."""
        start, end = self.bounds
        return Between(self.times(self.timezone, name, since, start), start, end)

    @property
    def is_on(self) -> bool:
        """Whether it makes ticks at all."""
        return self.enabled and not self.is_off

    @property
    def key(self) -> Template | None:
        return self.once.key if self.once else None

    @property
    def until(self) -> Until | None:
        """How long a run of it holds its key; a continuous one meets only runs that are not its own."""
        return Until.STARTED if self.continuous and self.overlap is Overlap.SKIP else _UNTIL[self.overlap]


def literal(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields in which no text is a template: those that do not come from the configuration."""
    literals = dict(fields)
    if "payload" in literals:
        literals["payload"] = Tree.literal(literals["payload"])
    once = literals.get("once")
    if isinstance(once, Mapping) and isinstance(once.get("key"), str):
        literals["once"] = {**once, "key": Template.literal(once["key"])}
    return literals
