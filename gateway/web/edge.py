"""What the handlers of all routes work with."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Protocol

from aiohttp import web

from gateway.core.access import Token
from gateway.runtime.health import Health
from gateway.runtime.intake import Intake
from gateway.runtime.snapshot import Current
from gateway.store.database import Database


class TlsSettings(Protocol):
    """The certificate that is shown, and its key; PEM files."""

    @property
    def cert(self) -> Path: ...
    @property
    def key(self) -> Path: ...


class ServerSettings(Protocol):
    """What the edge looks at in the section `server` of the configuration."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def tls(self) -> TlsSettings | None: ...
    @property
    def max_body(self) -> int: ...
    @property
    def trusted_proxies(self) -> Sequence[IPv4Network | IPv6Network]: ...


class AccessSettings(Protocol):
    """What the edge looks at in the section `access`."""

    @property
    def tokens(self) -> Sequence[Token]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long a client may take, in seconds, before its connection is given to somebody else."""

    head: float = 15.0
    """For the head of a request, and between two requests."""
    body: float = 10.0
    reader: float = 15.0
    """For taking the next part of an answer."""
    linger: float = 2.0
    """For the rest of a body that nobody wants, so that the answer is seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The parts of the gateway as the handlers see them."""

    database: Database
    current: Current
    intake: Intake
    health: Health
    access: AccessSettings
    server: ServerSettings
    deadlines: Deadlines = Deadlines()


EDGE = web.AppKey("edge", Edge)
