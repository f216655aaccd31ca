"""Senders who sign: the body, or a message made with it, exactly as it was sent."""

import binascii
import hashlib
import hmac
import json
import re
from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.core.duration import Duration, format_duration
from gateway.core.errors import TemplateError, Unparseable, Unverified
from gateway.core.ids import new_id
from gateway.core.template import Template, sees
from gateway.sources.incoming import Received
from gateway.sources.scheme import (
    Encoding,
    HeaderName,
    Headers,
    Scheme,
    Secrets,
    compare,
    decode,
    encode,
    required,
    sent_bytes,
)

MAX_SIGNATURES = 8
_EPOCH_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)


class Timestamp(BaseModel):
    """When it was signed, in seconds since 1970: what is older or newer than the tolerance is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    header: HeaderName = Field(description="Where it stands.")
    prefix: str = Field(
        "", pattern="^[^,]*$", description="What stands before it in a list, such as `t=` in `t=1,v1=2`."
    )
    tolerance: Duration = Field(timedelta(minutes=5), description="How far from now, both ways.")

    def sent(self, headers: Headers) -> str:
        """The number as it was sent. Raises `Unverified`."""
        text = required(headers, self.header)
        if self.prefix:
            parts = (part.strip() for part in text.split(",", MAX_SIGNATURES))
            text = next((part.removeprefix(self.prefix) for part in parts if part.startswith(self.prefix)), "")
        if not _EPOCH_SECONDS.fullmatch(text):
            raise Unverified(f"{self.header} holds no number of seconds")
        return text

    def check(self, headers: Headers, now: datetime) -> None:
        """Raises `Unverified`."""
        if abs(now.timestamp() - int(self.sent(headers))) > self.tolerance.total_seconds():
            raise Unverified(f"{self.header} is more than {format_duration(self.tolerance)} from now")


class Hmac(Scheme):
    """A keyed hash of the body, or of a message made with it."""

    scheme: Literal["hmac"]
    header: HeaderName = Field(description="Where the signature stands.")
    algorithm: Literal["sha1", "sha256", "sha384", "sha512"] = Field("sha256", description="Of the hash.")
    encoding: Encoding = Field("hex", description="How the signature is written.")
    prefix: str = Field("", pattern="^[^,]*$", description="What stands before the signature, such as `sha256=`.")
    secret: Secrets = Field(description="One, or a list such as [new, old].")
    message: Annotated[Template, sees("headers", "raw", "timestamp")] | None = Field(
        None, description="What is signed; default: the raw body."
    )
    timestamp: Timestamp | None = Field(
        None,
        description="Protects only if it is part of `message`. Without one, an event that has no id is the redelivery "
        "of another whose message is the same.",
    )

    @model_validator(mode="after")
    def _check_timestamp(self) -> Self:
        if self.timestamp is None and self.message and "timestamp" in self.message.names:
            raise ValueError("message: there is no timestamp, say where it is sent")
        return self

    def check(self, received: Received) -> None:
        given = required(received.headers, self.header).split(",", MAX_SIGNATURES)
        if self.timestamp:
            self.timestamp.check(received.headers, received.now)
        digests = self._digests(received.headers, received)
        compare(digests, _signatures(given, self.prefix, self.encoding))

    def sign(self, unsigned: Received) -> dict[str, str]:
        if self.timestamp is None:
            return {self.header: self._signature(unsigned.headers, unsigned)}
        stamp = self.timestamp.prefix + _epoch(unsigned.now)
        signature = self._signature({**unsigned.headers, self.timestamp.header.lower(): stamp}, unsigned)
        if self.timestamp.header.lower() == self.header.lower():
            return {self.header: f"{stamp},{signature}"}
        return {self.timestamp.header: stamp, self.header: signature}

    def replay_of(self, received: Received) -> str | None:
        if self.timestamp:
            return None
        return hashlib.sha256(self._message(received.headers, received)).hexdigest()

    @property
    def proving_headers(self) -> frozenset[str]:
        return frozenset({self.header.lower()})

    @cached_property
    def _keys(self) -> tuple[bytes, ...]:
        return tuple(secret.get_secret_value().encode() for secret in self.secret)

    def _signature(self, headers: Headers, unsigned: Received) -> str:
        """By the newest secret."""
        return self.prefix + encode(self._digests(headers, unsigned)[0], self.encoding)

    def _digests(self, headers: Headers, received: Received) -> list[bytes]:
        message = self._message(headers, received)
        return [hmac.digest(key, message, self.algorithm) for key in self._keys]

    def _message(self, headers: Headers, received: Received) -> bytes:
        if self.message is None:
            return received.raw
        try:
            stamp = {"timestamp": self.timestamp.sent(headers)} if self.timestamp else {}
            return sent_bytes(self.message.text({"headers": headers, "raw": received.text, **stamp}))
        except TemplateError as error:
            raise Unverified(f"what should be signed is missing: {error}") from error


class StandardWebhooks(Scheme):
    """Version 1 of the specification at standardwebhooks.com, with a shared secret; and who nearly does so."""

    scheme: Literal["standard-webhooks"]
    secret: Secrets = Field(description="One, or a list such as [new, old].")
    key: Literal["base64", "text"] = Field(
        "base64", description="How the secret is written: as `whsec_` and base64, or it is the key itself."
    )
    signed: Literal["raw", "ascii-json"] = Field(
        "raw", description="The body as sent, or its compact JSON in which all but ASCII is escaped."
    )
    tolerance: Duration = Field(timedelta(minutes=5), description="How far its timestamp may be from now, both ways.")

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if not all(self._keys):
            raise ValueError("secret: nothing after whsec_")
        return self

    def check(self, received: Received) -> None:
        given = required(received.headers, "webhook-signature").split(" ", MAX_SIGNATURES)
        self._timestamp.check(received.headers, received.now)
        compare(self._digests(received.headers, received), _signatures(given, "v1,", "base64"))

    def sign(self, unsigned: Received) -> dict[str, str]:
        message_id = unsigned.headers.get("webhook-id", f"msg_{new_id()}")
        added = {"webhook-id": message_id, "webhook-timestamp": _epoch(unsigned.now)}
        newest = self._digests(added, unsigned)[0]
        return added | {"webhook-signature": "v1," + encode(newest, "base64")}

    @property
    def proving_headers(self) -> frozenset[str]:
        return frozenset({"webhook-signature"})

    @cached_property
    def _timestamp(self) -> Timestamp:
        return Timestamp(header="webhook-timestamp", tolerance=self.tolerance)

    @cached_property
    def _keys(self) -> tuple[bytes, ...]:
        texts = (secret.get_secret_value() for secret in self.secret)
        return tuple(_standard_key(text) if self.key == "base64" else text.encode() for text in texts)

    def _digests(self, headers: Headers, received: Received) -> list[bytes]:
        head = sent_bytes(f"{required(headers, 'webhook-id')}.{headers['webhook-timestamp']}.")
        message = head + (_in_ascii(received) if self.signed == "ascii-json" else received.raw)
        return [hmac.digest(key, message, "sha256") for key in self._keys]


def _signatures(parts: list[str], prefix: str, encoding: Encoding) -> list[bytes]:
    if len(parts) > MAX_SIGNATURES:
        raise Unverified(f"more than {MAX_SIGNATURES} signatures")
    stripped = [part.strip() for part in parts]
    return [decode(part.removeprefix(prefix), encoding) for part in stripped if part.startswith(prefix)]


def _standard_key(secret: str) -> bytes:
    text = secret.strip().removeprefix("whsec_")
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError as error:
        raise ValueError("secret: expected whsec_ and base64") from error


def _in_ascii(received: Received) -> bytes:
    """What was signed, where the sender escaped for signing what it then sent as it is."""
    if received.raw.isascii():
        return received.raw
    try:
        return json.dumps(received.content.data, separators=(",", ":")).encode()
    except Unparseable as error:
        raise Unverified("what should be signed is no JSON") from error


def _epoch(now: datetime) -> str:
    return str(int(now.timestamp()))
