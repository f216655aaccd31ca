"""The whole file as one model. Most sections are the values that their parts of the gateway work with."""

from pathlib import Path
from typing import Annotated, get_origin

from pydantic import BaseModel, ConfigDict, Field

from gateway.config.kinds import OneOf
from gateway.core.alert import Alert, AlertName
from gateway.core.name import Name, SourceName
from gateway.core.schedule import Schedule
from gateway.core.trigger import Trigger
from gateway.core.window import Window
from gateway.runtime.settings import Access, Retention, Server
from gateway.sources import KINDS as SOURCES
from gateway.sources.base import Settings as Source
from gateway.store.settings import DatabaseSettings
from gateway.targets import KINDS as TARGETS
from gateway.targets.base import Settings as Target


class Config(BaseModel):
    """The configuration of a gateway."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    presets_dir: Path | None = Field(
        None, description="A folder of presets of your own, sources/NAME.yaml and targets/NAME.yaml, beside this file."
    )
    server: Server = Field(default_factory=Server)
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    access: Access = Field(default_factory=Access)
    sources: dict[SourceName, Annotated[Source, OneOf(SOURCES)]] = {}
    targets: dict[Name, Annotated[Target, OneOf(TARGETS)]] = {}
    triggers: dict[Name, Trigger] = {}
    schedules: dict[SourceName, Schedule] = {}
    windows: dict[Name, Window] = {}
    alerts: dict[AlertName, Alert] = {}
    retention: Retention = Field(default_factory=Retention)


NAMED = tuple(name for name, field in Config.model_fields.items() if get_origin(field.annotation) is dict)
"""The sections whose keys are names that users choose."""
