"""The connections to one target: what may be reached, how its certificate is checked, how long connecting may take."""

import ssl
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Self

from aiohttp import (
    ClientConnectionError,
    ClientConnectorError,
    ClientHandlerType,
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    ServerDisconnectedError,
    TCPConnector,
)
from pydantic import BaseModel, ConfigDict, Field, FilePath, model_validator

from gateway import __version__
from gateway.core.duration import Duration
from gateway.targets.addresses import Addresses

_KEEP_ALIVE = 4.0  # seconds; below the 5 s of common servers, so that we seldom write into what they are just closing


class Tls(BaseModel):
    """How the target's certificate is checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verify: bool = Field(default=True, description="false: any certificate will do.")
    ca: FilePath | None = Field(None, description="PEM file of the authorities to trust instead of the system's.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.ca and not self.verify:
            raise ValueError("ca needs verify: without it nothing is compared with it")
        self.context()
        return self

    def context(self) -> ssl.SSLContext | bool:
        """As aiohttp takes it. Raises `ValueError` for a file without certificates."""
        return _trusting(self.ca) if self.ca else self.verify


def _trusting(ca: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ValueError(f"no certificates in {ca}: {error}") from error


class Connection(BaseModel):
    """What the configuration says about connecting."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connect_timeout: Duration = Field(timedelta(seconds=5), gt=timedelta(0), description="Resolving, TCP and TLS.")
    tls: Tls = Tls()
    addresses: Addresses = Field(Addresses(), description="Ranges that may be called, and may not.")

    def open_session(self, headers: Mapping[str, str] | None = None) -> ClientSession:
        """Connections of one target: no cookies, no proxies, no limit but the target's own concurrency.

        Only connecting has a time limit here; the deadline of the whole attempt is the caller's. `headers` are sent
        where a call has no others of these names.
        """
        return ClientSession(
            connector=TCPConnector(
                limit=0,
                ssl=self.tls.context(),
                keepalive_timeout=_KEEP_ALIVE,
                socket_factory=self.addresses.socket,
            ),
            cookie_jar=DummyCookieJar(),
            headers={"User-Agent": f"trigger-gateway/{__version__}", **(headers or {})},
            timeout=ClientTimeout(total=None, connect=self.connect_timeout.total_seconds()),
            middlewares=(_send_once,),
        )


async def _send_once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Hides from aiohttp that a kept connection broke: it would repeat GET, PUT and DELETE without telling anybody."""
    try:
        return await handler(request)
    except ClientConnectorError:
        raise
    except (ClientOSError, ServerDisconnectedError) as error:
        raise ClientConnectionError(str(error)) from error
