"""Messages of a queue: what one holds, and how it becomes an event. Nothing here knows a broker.

A CloudEvent says itself what it is, structured or with its attributes in the headers (AMQP binding 1.0.2, section 3):
what the `event:` section leaves open is taken from there.
"""

import hashlib
import math
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from gateway.core import strict_json
from gateway.core.errors import Rejected, TooLarge, Unparseable
from gateway.core.event import Delivery, Event
from gateway.core.ids import new_id
from gateway.core.template import Template, clock, sees
from gateway.core.trace import given
from gateway.core.wording import did_you_mean
from gateway.sources import body, cloudevents
from gateway.sources.base import Dedup
from gateway.sources.mapping import EventTemplates

REJECTED = "gateway.rejected"
PROPERTIES = (
    "message_id",
    "correlation_id",
    "content_type",
    "content_encoding",
    "app_id",
    "user_id",
    "reply_to",
    "priority",
    "expiration",
    "timestamp",
)
"""Those that AMQP calls so; beside them are the `type`, and the `exchange` and `routing_key` of the delivery."""
MAX_HEADERS = 64 * 2**10  # bytes, as JSON
REDELIVERED_WITHIN = timedelta(hours=1)
_COMPRESSED = ("gzip", "x-gzip", "deflate")
_SCALARS = frozenset({type(None), bool, int, str})
_KEPT = ("content_type", "correlation_id", "exchange", "routing_key", "reply_to", "app_id")
_COUNTERS = ("x-delivery-count", "x-acquired-count")  # differ between two deliveries of one message
_PREFIXES = ("cloudEvents:", "cloudEvents_")

Kind = Literal["json", "text"]
Seen = Annotated[Template, sees("body", "headers", "properties", "raw")]
_ABSENT = Template(None)


class MessageTemplates(EventTemplates):
    """Templates over `body`, `headers` (by name), `properties` (of AMQP), and `raw`, the body as text."""

    id: Seen = Field(Template("{{ properties.message_id }}"), description="The sender's, by which it is deduplicated.")
    type: Seen = Field(
        Template("{{ properties.type or properties.routing_key or 'message' }}"),
        description="What triggers match with their globs; default: the property `type`, else the routing key.",
    )
    subject: Seen = Field(_ABSENT, description="What it is about, for people.")
    object: Seen = Field(_ABSENT, description="The thing it is about, as data.")
    time: Seen = Field(Template("{{ properties.timestamp }}"), description="Default: the property `timestamp`.")
    changed: Seen = Field(_ABSENT, description="A list of the names of changed fields.")

    def of_cloud_events(self) -> "MessageTemplates":
        """The same, with what is not set taken from the attributes."""
        return MessageTemplates(**_OF_CLOUD_EVENTS | {name: getattr(self, name) for name in self.model_fields_set})


_OF_CLOUD_EVENTS = {
    "id": Template("{{ body.source }} {{ body.id }}"),
    "type": Template("{{ body.type }}"),
    "subject": Template("{{ body.subject | default(none) }}"),
    "object": Template("{{ body.data | default(none) }}"),
    "time": Template("{{ body.time | default(none) }}"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One delivery: `properties` has every property of AMQP, `None` where it is absent, and how it was routed.

    `redelivered` says that somebody, perhaps this node, has seen it before.
    """

    body: bytes
    headers: Mapping[str, Any]
    properties: Mapping[str, Any]
    redelivered: bool = False

    @classmethod
    def published(cls, queue: str, body: bytes, headers: Mapping[str, Any], properties: Mapping[str, Any]) -> "Message":
        """What arrives of a message that is sent to a queue. Raises `ValueError` for properties that there are not."""
        routed = dict.fromkeys(PROPERTIES) | {"type": None, "exchange": "", "routing_key": queue}
        if unknown := properties.keys() - routed.keys():
            raise ValueError(f"there is no property {min(unknown)!r:.60}{did_you_mean(min(unknown), routed)}")
        return cls(body=body, headers=headers, properties={**routed, **properties})


class Reader:
    """Makes events of the messages of one source."""

    def __init__(
        self, source: str, templates: MessageTemplates, kind: Kind, kept: tuple[str, ...], dedup: Dedup
    ) -> None:
        self._source = source
        self._read = templates.compiled()
        self._read_cloud_event = templates.of_cloud_events().compiled()
        self._kind = kind
        self._kept = kept
        self._dedup = dedup

    def read(self, message: Message, now: datetime, max_body: int) -> Event:
        """The event of a message; one that cannot be read becomes an event that says why, and keeps it whole."""
        try:
            return self._event(message, now, max_body)
        except Rejected as rejected:
            return self.rejected(message, now, rejected.detail)

    def rejected(self, message: Message, now: datetime, reason: str) -> Event:
        """What is kept of a message of which nothing comes."""
        data = {"reason": reason, **_legible(message.body), **_legible_headers(message)}
        return Event(
            id=new_id(),
            source=self._source,
            type=REJECTED,
            time=now,
            received_at=now,
            data=data,
            body=strict_json.dump(data),
            rejection=reason,
        )

    def _event(self, message: Message, now: datetime, max_body: int) -> Event:
        """Raises `Rejected`."""
        headers, properties = _storable(message.headers, "headers"), _storable(message.properties, "properties")
        raw = _decoded(message, max_body)
        cloud_event = _cloud_event(headers, str(properties.get("content_type") or ""), raw)
        content = cloud_event or body.parse(raw, self._kind)
        read = self._read_cloud_event if cloud_event else self._read
        text = raw.decode("utf-8", "surrogateescape")
        fields = read(
            {"body": content.data, "headers": headers, "properties": properties, "raw": text, "now": clock(now)}
        )
        return Event(
            id=new_id(),
            source=self._source,
            type=fields["type"],
            subject=fields["subject"],
            object=fields["object"],
            changed=fields["changed"],
            time=fields["time"] or now,
            received_at=now,
            data=content.data,
            body=content.text,
            headers=self._shown(headers, properties),
            sender_id=fields["id"],
            traceparent=given(headers.get("traceparent")),
            delivery=self._delivery(fields["id"], message, headers, properties),
        )

    def _shown(self, headers: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, str]:
        shown = {name: headers.get(name) for name in self._kept} | {name: properties.get(name) for name in _KEPT}
        return {name: str(value) for name, value in shown.items() if value not in (None, "")}

    def _delivery(
        self, sender_id: str | None, message: Message, headers: Mapping[str, Any], properties: Mapping[str, Any]
    ) -> Delivery:
        if sender_id:
            return self._dedup.delivery(self._source, sender_id)
        by_content = self._dedup.delivery(self._source, _fingerprint(message.body, headers, properties))
        return replace(by_content, window=REDELIVERED_WITHIN, compared=message.redelivered)


def _decoded(message: Message, max_body: int) -> bytes:
    """Raises `TooLarge`, and `Unparseable` for a broken stream; a `content_encoding` may also name a character set."""
    encoding = str(message.properties.get("content_encoding") or "").strip().lower()
    if len(message.body) > max_body:
        raise TooLarge(f"the body has {len(message.body)} bytes, and may have {max_body}")
    return body.decode(message.body, encoding if encoding in _COMPRESSED else None, max_body)


def _cloud_event(headers: Mapping[str, Any], content_type: str, raw: bytes) -> body.Content | None:
    """In the JSON format, if the message is one. Raises `Unparseable`."""
    if body.media_type(content_type) == cloudevents.STRUCTURED:
        return cloudevents.structured(raw)
    for prefix in _PREFIXES:
        if f"{prefix}specversion" in headers:
            attributes = {name.removeprefix(prefix): headers[name] for name in headers if name.startswith(prefix)}
            return cloudevents.binary(attributes, content_type, raw)
    return None


def _fingerprint(raw: bytes, headers: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    """The same for two deliveries of one message, and different for two messages that differ in anything."""
    lasting = {name: value for name, value in headers.items() if name not in _COUNTERS}
    return "sha256:" + hashlib.sha256(strict_json.canonical([lasting, dict(properties)]) + raw).hexdigest()


def _storable(table: Mapping[str, Any], what: str) -> dict[str, Any]:
    """A table of AMQP as JSON. Raises `Unparseable` where it has no JSON that could be stored."""
    if not table:
        return {}
    converted: dict[str, Any] = _converted(table, what, strict_json.MAX_DEPTH)
    try:
        size = len(strict_json.dump_strict(converted))
    except Unparseable as error:
        raise Unparseable(f"{what}: {error.detail}") from error
    if size > MAX_HEADERS:
        raise Unparseable(f"{what} of more than {MAX_HEADERS} bytes")
    return converted


def _converted(value: Any, what: str, levels: int) -> Any:
    if levels < 0:
        raise Unparseable(f"{what} nested deeper than {strict_json.MAX_DEPTH} levels")
    if type(value) in _SCALARS or (type(value) is float and math.isfinite(value)):  # JSON has no other numbers
        return value
    match value:
        case Mapping():
            return {str(name): _converted(item, what, levels - 1) for name, item in value.items()}
        case list() | tuple():
            return [_converted(item, what, levels - 1) for item in value]
        case bytes() | bytearray():
            return value.decode("utf-8", "replace")
        case datetime():
            return value.isoformat()
        case _:
            return str(value)


def _legible(raw: bytes) -> dict[str, str]:
    """The bytes as a text that can be stored, or else in base64."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return {"encoding": "base64", "body": b64encode(raw).decode()}
    return {"encoding": "utf-8", "body": text}


def _legible_headers(message: Message) -> dict[str, Any]:
    """Those that can be stored: they may be what is wrong with the message."""
    legible = {}
    for what, table in {"headers": message.headers, "properties": message.properties}.items():
        try:
            legible[what] = _storable(table, what)
        except Unparseable:
            continue
    return legible
