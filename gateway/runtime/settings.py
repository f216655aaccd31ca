"""The sections of the configuration that are about the gateway itself."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork

from gateway.core.access import Token
from gateway.core.duration import Duration, Size
from gateway.core.name import Name

_POSITIVE = Field(gt=timedelta(0))


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tls(_Section):
    """The certificate that the gateway shows, and its key; PEM files."""

    cert: Path = Field(description="PEM file of the certificate, with those that lead to its authority.")
    key: Path = Field(description="PEM file of its key, without a passphrase.")


class Listener(_Section):
    """An address to listen at."""

    host: str = Field("127.0.0.1", min_length=1, description="Any other than loopback needs access.tokens.")
    port: int = Field(ge=0, le=65535, description="0: any free one.")


class Server(Listener):
    """The process: where it listens, and how much it does at once."""

    port: int = Field(8080, ge=0, le=65535, description="0: any free one.")
    admin: Listener | None = Field(None, description="For API and metrics, which then are not served beside the hooks.")
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
    """Who may use API and command line."""

    tokens: tuple[Token, ...] = Field((), description="Without any, the API answers on loopback only.")


class Retention(_Section):
    """How long things are kept once they are over."""

    events: Annotated[Duration, _POSITIVE] = Field(timedelta(days=7), description="From when they were received.")
    runs: Annotated[Duration, _POSITIVE] = Field(
        timedelta(days=30), description="From their end, with attempts and logs; what was skipped and counted, too."
    )
    audit: Annotated[Duration, _POSITIVE] = Field(timedelta(days=365), description="Who did what.")
