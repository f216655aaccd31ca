"""Webhooks: a request is admitted, verified, parsed and mapped to an event, each step refusing what it must.

Nothing here does I/O: the edge reads the body in between, and answers.
"""

import ipaddress
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, IPvAnyNetwork, model_validator

from gateway.core.compiling import Context
from gateway.core.errors import Forbidden, MethodNotAllowed, TemplateError, Unmappable
from gateway.core.event import Delivery, Event
from gateway.core.ids import new_id
from gateway.core.template import Expression, clock, sees
from gateway.sources import base
from gateway.sources.body import Content, Kind
from gateway.sources.incoming import Incoming, Received, lower
from gateway.sources.mapping import EventTemplates
from gateway.sources.rate import Bucket, Rate
from gateway.sources.scheme import HeaderName
from gateway.sources.verify import Verify

__all__ = ["Incoming", "Reply", "Settings", "WebhookSource"]

_OWN_PATHS = ("/api", "/healthz", "/readyz", "/metrics", "/openapi.json")
_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})


class Reply(BaseModel):
    """What an accepted request is answered with, where the sender insists."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int = Field(200, ge=200, le=299)
    body: str = ""


def _refuse_own_paths(path: str) -> str:
    if f"{path}/".startswith(tuple(f"{own}/" for own in _OWN_PATHS)):
        raise ValueError(f"{path} belongs to the gateway itself, as all below {', '.join(_OWN_PATHS)}")
    return path


class Settings(base.Settings):
    """A source that is called over HTTP."""

    kind: Literal["webhook"]
    path: Annotated[str, AfterValidator(_refuse_own_paths)] | None = Field(
        None, pattern=r"^/[A-Za-z0-9._~/-]+$", description="Default: /hooks/ and the name."
    )
    methods: tuple[Literal["GET", "POST", "PUT", "PATCH", "DELETE"], ...] = Field(("POST",), min_length=1)
    body: Kind = "json"
    form_field: str | None = Field(None, description="Holds the JSON where a form is sent, by its content type.")
    verify: Verify = Field(description="How senders prove themselves; `{scheme: none}` if they cannot.")
    event: EventTemplates = EventTemplates()
    ignore: Annotated[Expression, sees("body", "headers", "query", "raw")] | None = Field(
        None, description="What this holds for is counted, not stored."
    )
    headers: tuple[HeaderName, ...] = Field(("content-type", "user-agent"), description="Those kept with the event.")
    reply: Reply | Literal["minimal"] | None = Field(
        None, description="Default: 202 with the decisions; minimal: without them."
    )
    rate: Rate | None = Field(None, description="Of requests, on each node: 100/s, 10/m, 500/h; more get 429.")
    allow: tuple[IPvAnyNetwork, ...] = Field((), description="Addresses that may call; default: all.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if proofs := (_CREDENTIALS | self.verify.proving_headers) & {name.lower() for name in self.headers}:
            raise ValueError(f"headers: {min(proofs)} is not kept, it holds a proof")
        if self.form_field and self.body != "json":
            raise ValueError("form_field goes with body: json")
        return self


class WebhookSource:
    """One configured webhook."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        self.path = settings.path or f"/hooks/{name}"
        self._scope = settings.dedup.scope or name
        self._kept = [header.lower() for header in settings.headers]
        self._read = settings.event.compiled()
        self._bucket = Bucket(settings.rate) if settings.rate else None

    def admit(self, method: str, remote: str, now_monotonic: float) -> None:
        """Decides before the body is read. Raises `Forbidden`, `MethodNotAllowed` or `TooMany`."""
        if self.settings.allow and not self._allows(remote):
            raise Forbidden("this address is not allowed")
        if method not in self.settings.methods:
            raise MethodNotAllowed(self.settings.methods)
        if self._bucket:
            self._bucket.take(now_monotonic)

    def to_event(self, incoming: Incoming, now: datetime) -> Event | None:
        """The event of a request, `None` if it is to be ignored.

        Raises `Unverified`, `Unparseable`, or `Unmappable`, which names the template that failed.
        """
        received = self._received(incoming, now)
        self.settings.verify.check(received)
        content = received.content
        if field := self.settings.verify.proving_field:
            content = content.without(field)
        context = {
            "body": content.data,
            "headers": received.headers,
            "query": received.query,
            "raw": received.text,
            "now": clock(now),
        }
        return None if self._ignores(context) else self._event(received, content, context)

    def _received(self, incoming: Incoming, now: datetime) -> Received:
        return Received(
            headers=lower(incoming.headers),
            query=dict(incoming.query),
            raw=incoming.raw,
            now=now,
            kind=self.settings.body,
            form_field=self.settings.form_field,
        )

    def _allows(self, remote: str) -> bool:
        try:
            address = ipaddress.ip_address(remote)
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self.settings.allow)

    def _ignores(self, context: Context) -> bool:
        try:
            return self.settings.ignore is not None and self.settings.ignore.holds(context)
        except TemplateError as error:
            raise Unmappable(f"ignore: {error}") from error

    def _event(self, received: Received, content: Content, context: Context) -> Event:
        fields = self._read(context)
        sender_id = fields["id"]
        return Event(
            id=new_id(),
            source=self.name,
            type=fields["type"],
            subject=fields["subject"],
            object=fields["object"],
            changed=fields["changed"],
            time=fields["time"] or received.now,
            received_at=received.now,
            data=content.data,
            body=content.text,
            headers={name: _printable(received.headers[name]) for name in self._kept if name in received.headers},
            sender_id=sender_id,
            delivery=self._delivery(sender_id) if sender_id else None,
        )

    def _delivery(self, sender_id: str) -> Delivery:
        return Delivery(scope=self._scope, id=sender_id, window=self.settings.dedup.window)


def _printable(value: str) -> str:
    """A header as a text that every database takes: bytes that are no UTF-8 become U+FFFD."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
