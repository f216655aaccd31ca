"""The whole file as one model. Most sections are the values that their parts of the gateway work with."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, IPvAnyNetwork, StringConstraints

from gateway.config.kinds import OneOf
from gateway.core.access import Token
from gateway.core.duration import Duration, Size
from gateway.core.trigger import Trigger
from gateway.core.window import Window
from gateway.sources import KINDS as SOURCES
from gateway.sources.base import Settings as Source
from gateway.store.settings import DatabaseSettings
from gateway.targets import KINDS as TARGETS
from gateway.targets.base import Settings as Target

RESERVED = ("gateway", "api", "upcoming")
_POSITIVE = Field(gt=timedelta(0))


def _refuse_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"the name {name!r} is reserved")
    return name


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$", max_length=100)]
SourceName = Annotated[Name, AfterValidator(_refuse_reserved)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tls(_Section):
    """The certificate that the gateway shows, and its key; PEM files."""

    cert: Path
    key: Path


class Server(_Section):
    """The process: where it listens, and how much it does at once."""

    host: str = Field("127.0.0.1", min_length=1, description="Any other than loopback needs access.tokens.")
    port: int = Field(8080, ge=0, le=65535, description="0: any free one.")
    public_url: str | None = Field(None, pattern="^https?://", description="How senders and people reach it.")
    max_body: Size = Field(2**20, gt=0, description="Of a request.")
    shutdown_grace: Duration = Field(timedelta(seconds=30), description="For attempts to end by themselves.")
    trusted_proxies: tuple[IPvAnyNetwork, ...] = Field((), description="Whose X-Forwarded-For is believed.")
    labels: tuple[Name, ...] = Field((), description="Of this node; see `nodes` of targets.")
    slots: int = Field(100, ge=1, le=10_000, description="Attempts at once on this node.")
    lease: Duration = Field(
        timedelta(seconds=15),
        ge=timedelta(seconds=3),
        description="A node silent for so long has lost its runs.",
    )
    tls: Tls | None = None


class Access(_Section):
    """Who may use API, dashboard and command line."""

    tokens: tuple[Token, ...] = ()


class Retention(_Section):
    """How long things are kept once they are over."""

    events: Annotated[Duration, _POSITIVE] = timedelta(days=7)
    runs: Annotated[Duration, _POSITIVE] = timedelta(days=30)
    audit: Annotated[Duration, _POSITIVE] = timedelta(days=365)


class Config(_Section):
    """The configuration of a gateway."""

    server: Server = Field(default_factory=Server)
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    access: Access = Field(default_factory=Access)
    sources: dict[SourceName, Annotated[Source, OneOf(SOURCES)]] = {}
    targets: dict[Name, Annotated[Target, OneOf(TARGETS)]] = {}
    triggers: dict[Name, Trigger] = {}
    windows: dict[Name, Window] = {}
    retention: Retention = Field(default_factory=Retention)


NAMED = tuple(name for name, field in Config.model_fields.items() if get_origin(field.annotation) is dict)
"""The sections whose keys are names that users choose."""
