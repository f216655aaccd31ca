"""Webhooks: a request is admitted, verified, parsed and mapped to an event, each step refusing what it must.

Nothing here does I/O: the edge reads the body in between, and answers.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, IPvAnyNetwork, model_validator

from gateway.core.compiling import Context
from gateway.core.errors import Forbidden, MethodNotAllowed, Rejected, TemplateError, TooLarge, Unmappable, Unparseable
from gateway.core.event import Delivery, Event
from gateway.core.ids import new_id
from gateway.core.rate import Rate
from gateway.core.template import Expression, Template, clock, sees
from gateway.core.trace import given
from gateway.sources import base
from gateway.sources.body import MAX_ITEMS, Content
from gateway.sources.handshake import Challenge, permission
from gateway.sources.incoming import BodyKind, Incoming, Received, lower
from gateway.sources.mapping import SEEN, EventTemplates
from gateway.sources.rate import Bucket
from gateway.sources.scheme import HeaderName
from gateway.sources.verify import Verify

__all__ = ["Answer", "Arrival", "Incoming", "Reply", "Settings", "WebhookSource"]

_OWN_PATHS = ("/api", "/healthz", "/readyz", "/metrics", "/openapi.json", "/reference")
_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})


class Reply(BaseModel):
    """What an accepted request is answered with, where the sender insists."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int = Field(200, ge=200, le=299, description="Of the answer.")
    body: str = Field("", description="Its text.")


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
    methods: tuple[Literal["GET", "POST", "PUT", "PATCH", "DELETE"], ...] = Field(
        ("POST",), min_length=1, description="Those that bring events; others get 405."
    )
    body: BodyKind = Field("json", description="How the body is read.")
    form_field: str | None = Field(None, description="Holds the JSON where a form is sent, by its content type.")
    verify: Verify = Field(description="How senders prove themselves; `{scheme: none}` if they cannot.")
    event: EventTemplates = EventTemplates()
    ignore: Annotated[Expression, sees(*SEEN)] | None = Field(
        None, description="What this holds for is not stored; what it cannot be told of is."
    )
    split: Annotated[Template, sees("body", "headers", "query", "raw")] | None = Field(
        None, description="A list: one event for each element, which the templates of `event` see as `item`."
    )
    challenge: Challenge | None = Field(None, description="What the sender asks before it sends events.")
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
        if self.verify.proving_field and self.body == "text":
            raise ValueError("verify: a text has no fields in which a token could stand")
        return self

    @model_validator(mode="after")
    def _check_split(self) -> Self:
        if self.split is None and "item" in self.event.names | (self.ignore.names if self.ignore else set()):
            raise ValueError("item is an element of a list; say which with split")
        if self.split is not None and self.body == "cloudevents":
            raise ValueError("split: a batch of CloudEvents is split without being told to")
        return self


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a request brings: its events, `None` for one that is to be ignored."""

    events: tuple[Event | None, ...]
    is_batch: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a sender is answered who asks before it sends events."""

    text: str


class WebhookSource:
    """One configured webhook."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        self.path = settings.path or f"/hooks/{name}"
        self._kept = [header.lower() for header in settings.headers]
        self._read = settings.event.compiled()
        self._bucket = Bucket(settings.rate) if settings.rate else None

    def admit(self, method: str, remote: str, now_monotonic: float) -> None:
        """Decides before the body is read. Raises `Forbidden`, `MethodNotAllowed` or `TooMany`."""
        self._refuse_strangers(remote)
        if method not in self.settings.methods:
            raise MethodNotAllowed(self.settings.methods)
        if self._bucket:
            self._bucket.take(now_monotonic)

    def permission(self, method: str, headers: Mapping[str, str], remote: str) -> Mapping[str, str] | None:
        """The headers that answer a sender of CloudEvents who asks whether it may send, if this is what it asks.

        Raises `Forbidden`, and `Rejected` for a question that is none.
        """
        if method != "OPTIONS" or self.settings.body != "cloudevents":
            return None
        self._refuse_strangers(remote)
        return {"Allow": ", ".join(self.settings.methods), **permission(headers, self.settings.rate)}

    def to_events(self, incoming: Incoming, now: datetime) -> Arrival | Answer:
        """What a request brings, or what is to be answered to it instead.

        Raises `Unverified`, `Unparseable`, `TooLarge`, or `Unmappable`, which names the template that failed.
        """
        received = self._received(incoming, now)
        if (answer := self._answer(received)) is not None:
            return Answer(answer)
        self.settings.verify.check(received)
        return self._arrival(received)

    def mapped(self, incoming: Incoming, now: datetime) -> Arrival:
        """What a request would bring, whoever sends it. Raises as `to_events`."""
        return self._arrival(self._received(incoming, now))

    def _arrival(self, received: Received) -> Arrival:
        content = received.content
        if field := self.settings.verify.proving_field:
            content = content.without(field)
        if self._is_batch(content):
            return Arrival(tuple(self._items(received, content)), is_batch=True)
        return Arrival((self._event(received, content, _context(received, content.data)),))

    def _received(self, incoming: Incoming, now: datetime) -> Received:
        return Received(
            headers=lower(incoming.headers),
            query=dict(incoming.query),
            raw=incoming.raw,
            now=now,
            kind=self.settings.body,
            form_field=self.settings.form_field,
        )

    def _refuse_strangers(self, remote: str) -> None:
        if self.settings.allow and not self._allows(remote):
            raise Forbidden("this address is not allowed")

    def _allows(self, remote: str) -> bool:
        try:
            address = ipaddress.ip_address(remote)
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self.settings.allow)

    def _answer(self, received: Received) -> str | None:
        if self.settings.challenge is None:
            return None
        try:
            body = received.content.data
        except Rejected:  # nothing is proven yet, and some ask without a body
            body = None
        return self.settings.challenge.answer(_context(received, body))

    def _is_batch(self, content: Content) -> bool:
        of_cloudevents = self.settings.body == "cloudevents" and isinstance(content.data, list)
        return self.settings.split is not None or of_cloudevents

    def _items(self, received: Received, content: Content) -> Iterator[Event | None]:
        """The events of a batch. One that is broken refuses them all, as a sender cannot be told of one alone."""
        for number, (element, context) in enumerate(self._elements(received, content)):
            try:
                yield self._event(received, Content.of(element), context, number)
            except (Unmappable, Unparseable) as error:
                raise Unmappable(f"item {number}: {error.detail}", errors={f"items[{number}]": error.detail}) from error

    def _elements(self, received: Received, content: Content) -> Iterator[tuple[Any, Context]]:
        """The elements, and what templates see of each."""
        if self.settings.split is None:
            for document in content.data:
                yield document, _context(received, document)
        else:
            context = _context(received, content.data)
            for item in _elements(self.settings.split, context):
                yield item, {**context, "item": item}

    def _event(self, received: Received, content: Content, context: Context, number: int | None = None) -> Event | None:
        if self._ignores(context):
            return None
        fields = self._read(context)
        sender_id = self._of_element(fields["id"], number)
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
            traceparent=given(received.headers.get("traceparent")),
            delivery=self._delivery(sender_id or self._replay_of(received, number)),
        )

    def _of_element(self, sender_id: str | None, number: int | None) -> str | None:
        """Where the elements of a list share the id of their request, their places in it tell them apart."""
        is_shared = self.settings.split is not None and "item" not in self.settings.event.id.names
        return f"{sender_id}/{number}" if sender_id and is_shared else sender_id

    def _ignores(self, context: Context) -> bool:
        """What it cannot be told of is not ignored: a heartbeat too many does less harm than an alarm too few."""
        try:
            return self.settings.ignore is not None and self.settings.ignore.holds(context)
        except TemplateError:
            return False

    def _replay_of(self, received: Received, number: int | None) -> str | None:
        """An id for the deliveries of senders who sign but give none."""
        message = self.settings.verify.replay_of(received)
        return message if message is None or number is None else f"{message}/{number}"

    def _delivery(self, delivery_id: str | None) -> Delivery | None:
        return None if delivery_id is None else self.settings.dedup.delivery(self.name, delivery_id)


def _context(received: Received, body: Any) -> dict[str, Any]:
    return {
        "body": body,
        "headers": received.headers,
        "query": received.query,
        "raw": received.text,
        "now": clock(received.now),
    }


def _elements(split: Template, context: Context) -> list[Any]:
    try:
        elements = split.render(context)
    except TemplateError as error:
        raise Unmappable(f"split: {error}") from error
    if not isinstance(elements, list):
        raise Unmappable(f"split: expected a list, got {type(elements).__name__}")
    if len(elements) > MAX_ITEMS:
        raise TooLarge(f"split: more than {MAX_ITEMS} events in one request")
    return elements


def _printable(value: str) -> str:
    """A header as a text that every database takes: bytes that are no UTF-8 become U+FFFD."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
