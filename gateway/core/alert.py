"""Alerts: what is wrong is told once when it begins, again while it lasts, and once when it is over. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from gateway.core.duration import Duration
from gateway.core.name import MAX_LENGTH, PATTERN, Name

PREFIX = "alerts."
"""Of what stands in place of a trigger's name where an alert has asked for something; no trigger is called so."""
QUIET = timedelta(minutes=10)
"""What has not been seen for so long is over, where nothing else says so."""

AlertName = Annotated[str, StringConstraints(pattern=PATTERN, max_length=MAX_LENGTH - len(PREFIX))]


class What(StrEnum):
    """What can be told."""

    FAILING = "failing"
    RECOVERED = "recovered"
    STALE = "stale"
    PAUSED = "paused"
    SOURCE_REJECTING = "source_rejecting"
    TRIGGER_ERROR = "trigger_error"


class Alert(BaseModel):
    """Whom to tell of what: a request to a target, whose payload says it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on: tuple[What, ...] = Field(tuple(What), description="What is told; all of it without this.")
    after: int = Field(1, ge=1, description="Runs that have failed in a row when `failing` is told.")
    repeat: Annotated[Duration, Field(gt=timedelta(0))] = Field(
        timedelta(hours=12), description="Told again while it lasts."
    )
    target: str = Field(description="What is called; nothing is told about this target itself.")
    targets: tuple[Name, ...] = Field((), description="Only about these targets and their runs, and the `schedules`.")
    schedules: tuple[Name, ...] = Field((), description="Only about the runs of these schedules, and the `targets`.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.on:
            raise ValueError(f"on: expected at least one of {', '.join(What)}")
        if What.RECOVERED in self.on and not {What.FAILING, What.STALE}.intersection(self.on):
            raise ValueError("on: recovered goes with failing or stale, whose end it is")
        return self

    def concerns(self, target: str | None, schedule: str | None = None) -> bool:
        """Whether it is about that target or schedule; `None` stands for what is about neither."""
        if target == self.target:
            return False
        everything = not (self.targets or self.schedules)
        return everything or target in self.targets or schedule in self.schedules

    def tells(self, alarm: "Alarm", last_told: datetime | None, now: datetime) -> bool:
        """Whether it is time to say so, for the first time or again."""
        if alarm.what not in self.on or (alarm.what is What.FAILING and alarm.times < self.after):
            return False
        return last_told is None or now - last_told >= self.repeat


Alerts = Mapping[str, Alert]
"""By name."""


class Kind(StrEnum):
    """Of what something is wrong with."""

    TRIGGER = "trigger"
    SCHEDULE = "schedule"
    TARGET = "target"
    SOURCE = "source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What something is wrong with; the key is empty where there is none, or where it does not matter."""

    kind: Kind
    name: str
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that is wrong, seen so many times, and not known to be over; `told` says which alerts were told when.

    `raised` says that it has been announced by an event of its own.
    """

    what: What
    subject: Subject
    since: datetime
    latest: datetime
    times: int = 1
    raised: bool = False
    told: Mapping[str, datetime] = field(default_factory=dict)

    def seen_again(self, sighting: "Alarm") -> "Alarm":
        """With what was seen now; where it was over in between, that is all."""
        if self._was_over_before(sighting):
            return sighting
        return replace(self, times=self.times + sighting.times, latest=max(self.latest, sighting.latest))

    def _was_over_before(self, sighting: "Alarm") -> bool:
        match self.what:
            case What.FAILING:
                return False
            case What.STALE:
                return self.since < sighting.since
            case _:
                return sighting.since - self.latest > QUIET

    def tell(self, alerts: Alerts, now: datetime) -> tuple["Alarm", tuple[str, ...]]:
        """The alerts that say so now, and the alarm after that."""
        due = tuple(name for name, alert in alerts.items() if alert.tells(self, self.told.get(name), now))
        return replace(self, raised=True, told={**self.told, **dict.fromkeys(due, now)}), due

    def end(self, alerts: Alerts) -> tuple[str, ...]:
        """The alerts that say that it is over: those that said it was there."""
        return tuple(name for name, alert in alerts.items() if name in self.told and What.RECOVERED in alert.on)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What one alert is to tell about an alarm; `last_success` is of the alarm's subject, as far as it is known."""

    alert: str
    what: What
    alarm: Alarm | None = None
    last_success: datetime | None = None

    @property
    def why(self) -> str:
        """The reason of the decision."""
        if self.alarm is None or self.what is What.RECOVERED:
            return self.what
        times = "" if self.what is What.STALE else f"{self.alarm.times} times "
        return f"{self.what}: {times}since {self.alarm.since:%Y-%m-%dT%H:%M:%SZ}"
