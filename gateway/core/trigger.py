"""A trigger: on these events, when this holds, request that target."""

import fnmatch
import re
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gateway.core.duration import Duration
from gateway.core.event import Event
from gateway.core.once import Until
from gateway.core.run import FINAL, State
from gateway.core.template import Expression, Template, Tree, sees

GATEWAY = "gateway"
RUN_ENDED = "gateway.run."
ENDS = tuple(sorted(FINAL - {State.SUPERSEDED}))  # a superseded run goes on as another


class Match(BaseModel):
    """What a trigger listens to: a source with a glob on the type, or the end of a run of that trigger or target."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str | None = Field(None, description="Name of a source or schedule.")
    type: str | tuple[str, ...] = Field((), description="Glob on the event's type; all types without it.")
    run: str | None = Field(None, description="Name of a trigger, schedule or target whose run has ended.")
    state: str | tuple[str, ...] = Field((), description="With `run`: succeeded, failed, cancelled; all without it.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.source is None) == (self.run is None):
            raise ValueError("expected either source or run")
        if self.run is None and self.state:
            raise ValueError("state goes with run")
        if self.run is not None and self.type:
            raise ValueError("type goes with source")
        if set(_several(self.state)) - set(ENDS):
            raise ValueError(f"state: expected {', '.join(ENDS)}, got {self.state!r}")
        return self

    @property
    def listens_to(self) -> str:
        """The name of the source whose events it looks at."""
        return self.source or GATEWAY

    def matches(self, event: Event) -> bool:
        if self.run is None:
            return event.source == self.source and (not self.type or bool(self._types.match(event.type)))
        return event.source == GATEWAY and self._ended(event)

    def _ended(self, event: Event) -> bool:
        if not event.type.startswith(RUN_ENDED) or not isinstance(event.data, dict):
            return False
        names = (event.data.get(kind) for kind in ("trigger", "schedule", "target"))
        return self.run in names and (not self.state or event.type.removeprefix(RUN_ENDED) in _several(self.state))

    @cached_property
    def _types(self) -> re.Pattern[str]:
        return re.compile("|".join(fnmatch.translate(glob) for glob in _several(self.type)))


def _written_out(on: Any) -> Any:
    listed = on if isinstance(on, list | tuple) else [on]
    return [{"source": match} if isinstance(match, str) else match for match in listed]


class Once(BaseModel):
    """Enqueue once: which requests are the same, and how long one holds the key against others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Annotated[Template, sees("event", "item")] | None = Field(None, description="Default: the trigger's name.")
    until: Until | Duration = Field(
        Until.STARTED, union_mode="left_to_right", description="started, finished, or a duration from acceptance."
    )


class Trigger(BaseModel):
    """A configured rule."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    on: Annotated[
        tuple[Match, ...], BeforeValidator(_written_out, json_schema_input_type=str | Match | list[str | Match])
    ] = Field(description="A source's name, {source, type}, {run, state}, or a list of these.")
    when: Annotated[Expression, sees("event", "item")] | None = Field(None, description="Fires only if this holds.")
    target: str = Field(description="Name of the target that is requested.")
    payload: Annotated[Tree, sees("event", "item")] = Field(Tree({}), description="What the target is given.")
    once: Once | None = Field(None, description="Without it every event makes a run of its own.")
    debounce: Duration | None = Field(None, description="Wait for so long a silence; needs `once`.")
    max_wait: Duration | None = Field(None, description="But no longer than this; default ten times `debounce`.")
    for_each: Annotated[Tree, sees("event")] | None = Field(None, description="{name: list}: one request per `item`.")
    mode: Literal["run", "shadow"] = Field("run", description="`shadow` decides and records, and never runs.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.on:
            raise ValueError("on: expected at least one source")
        if self.debounce is not None and self.once is None:
            raise ValueError("debounce needs once: it merges events of one key")
        if self.max_wait is not None and self.debounce is None:
            raise ValueError("max_wait needs debounce")
        if self.for_each is None and "item" in self._names():
            raise ValueError("item is known only with for_each")
        return self

    def _names(self) -> frozenset[str]:
        templates = (self.when, self.payload, self.once and self.once.key)
        return frozenset[str]().union(*(template.names for template in templates if template))

    @property
    def until(self) -> Until | timedelta | None:
        return self.once.until if self.once else None

    @property
    def key(self) -> Template | None:
        return self.once.key if self.once else None

    def listens_to(self, source: str) -> bool:
        return any(match.listens_to == source for match in self.on)

    def matches(self, event: Event) -> bool:
        return any(match.matches(event) for match in self.on)


def _several(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value
