"""How a sender proves who it is: a class for each scheme, which checks what came, and signs as the sender would.

Proofs are compared as bytes, in constant time, and over the body exactly as it was sent. Whatever a stranger sends, the
outcome is `Unverified` and nothing else.
"""

import binascii
import hmac
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from gateway.core.duration import Duration, format_duration
from gateway.core.errors import TemplateError, Unverified
from gateway.core.ids import new_id
from gateway.core.template import Template, sees
from gateway.sources.incoming import Received, to_bytes

MAX_SIGNATURES = 8
MAX_SECRETS = 8
_EPOCH_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)

Headers = Mapping[str, str]
Encoding = Literal["hex", "base64"]


def _refuse_empty(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("an empty secret lets everybody in; is a variable empty?")
    return secret


def _several(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


Secrets = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(_refuse_empty)], ...],
    Field(min_length=1, max_length=MAX_SECRETS),
    BeforeValidator(_several, json_schema_input_type=str | list[str]),
]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]


class Scheme(BaseModel):
    """What all schemes can do; this one trusts everybody."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, serialize_by_alias=True)

    def check(self, received: Received) -> None:
        """Raises `Unverified` unless the sender knows a secret."""

    def sign(self, unsigned: Received) -> dict[str, str]:  # noqa: ARG002 - nothing to sign
        """The headers with which a sender proves itself. Raises `ValueError` where the proof stands elsewhere."""
        return {}

    @property
    def proving_headers(self) -> frozenset[str]:
        """The headers, in lower case, that hold a proof: never kept with an event."""
        return frozenset()

    @property
    def proving_field(self) -> str | None:
        """The field of the body that holds a proof: never kept with an event."""
        return None


class Trusting(Scheme):
    """Everybody who reaches the gateway is believed."""

    scheme: Literal["none"]


class Timestamp(BaseModel):
    """When it was signed, in seconds since 1970: what is older or newer than the tolerance is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    header: HeaderName
    tolerance: Duration = timedelta(minutes=5)

    def check(self, headers: Headers, now: datetime) -> None:
        """Raises `Unverified`."""
        text = _header(headers, self.header)
        if not _EPOCH_SECONDS.fullmatch(text):
            raise Unverified(f"{self.header} is no number of seconds")
        if abs(now.timestamp() - int(text)) > self.tolerance.total_seconds():
            raise Unverified(f"{self.header} is more than {format_duration(self.tolerance)} from now")


class Hmac(Scheme):
    """A keyed hash of the body, or of a message made with it."""

    scheme: Literal["hmac"]
    header: HeaderName
    algorithm: Literal["sha1", "sha256", "sha384", "sha512"] = "sha256"
    encoding: Encoding = "hex"
    prefix: str = Field("", pattern="^[^,]*$", description="What stands before the signature, such as `sha256=`.")
    secret: Secrets = Field(description="One, or a list such as [new, old].")
    message: Annotated[Template, sees("headers", "raw")] | None = Field(
        None, description="What is signed; default: the raw body."
    )
    timestamp: Timestamp | None = Field(None, description="Protects only if it is part of `message`.")

    def check(self, received: Received) -> None:
        given = _header(received.headers, self.header).split(",", MAX_SIGNATURES)
        if self.timestamp:
            self.timestamp.check(received.headers, received.now)
        digests = self._digests(received.headers, received)
        _match(digests, _signatures(given, self.prefix, self.encoding))

    def sign(self, unsigned: Received) -> dict[str, str]:
        stamp = {self.timestamp.header: _epoch(unsigned.now)} if self.timestamp else {}
        headers = {**unsigned.headers, **{name.lower(): value for name, value in stamp.items()}}
        newest = self._digests(headers, unsigned)[0]
        return stamp | {self.header: self.prefix + _encode(newest, self.encoding)}

    @property
    def proving_headers(self) -> frozenset[str]:
        return frozenset({self.header.lower()})

    @cached_property
    def _keys(self) -> tuple[bytes, ...]:
        return tuple(to_bytes(secret.get_secret_value()) for secret in self.secret)

    def _digests(self, headers: Headers, received: Received) -> list[bytes]:
        message = self._message(headers, received)
        return [hmac.digest(key, message, self.algorithm) for key in self._keys]

    def _message(self, headers: Headers, received: Received) -> bytes:
        if self.message is None:
            return received.raw
        try:
            return _bytes(self.message.text({"headers": headers, "raw": received.text}))
        except TemplateError as error:
            raise Unverified(f"what should be signed is missing: {error}") from error


class StandardWebhooks(Scheme):
    """Version 1 of the specification at standardwebhooks.com, with a shared secret."""

    scheme: Literal["standard-webhooks"]
    secret: Secrets = Field(description="`whsec_` and base64; one, or a list such as [new, old].")
    tolerance: Duration = timedelta(minutes=5)

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if not all(self._keys):
            raise ValueError("secret: nothing after whsec_")
        return self

    def check(self, received: Received) -> None:
        given = _header(received.headers, "webhook-signature").split(" ", MAX_SIGNATURES)
        self._timestamp.check(received.headers, received.now)
        _match(self._digests(received.headers, received.raw), _signatures(given, "v1,", "base64"))

    def sign(self, unsigned: Received) -> dict[str, str]:
        message_id = unsigned.headers.get("webhook-id", f"msg_{new_id()}")
        added = {"webhook-id": message_id, "webhook-timestamp": _epoch(unsigned.now)}
        newest = self._digests(added, unsigned.raw)[0]
        return added | {"webhook-signature": "v1," + _encode(newest, "base64")}

    @property
    def proving_headers(self) -> frozenset[str]:
        return frozenset({"webhook-signature"})

    @cached_property
    def _timestamp(self) -> Timestamp:
        return Timestamp(header="webhook-timestamp", tolerance=self.tolerance)

    @cached_property
    def _keys(self) -> tuple[bytes, ...]:
        return tuple(_standard_key(secret.get_secret_value()) for secret in self.secret)

    def _digests(self, headers: Headers, raw: bytes) -> list[bytes]:
        message = _bytes(f"{_header(headers, 'webhook-id')}.{headers['webhook-timestamp']}.") + raw
        return [hmac.digest(key, message, "sha256") for key in self._keys]


class Token(Scheme):
    """A secret that is sent along."""

    scheme: Literal["token"]
    place: Literal["header", "query", "body"] = Field("header", alias="in")
    name: str = Field(min_length=1, description="Of the header, the query parameter, or the field of the body.")
    prefix: str = Field("", description="What stands before it, such as `Bearer `.")
    secret: Secrets = Field(description="One, or a list such as [new, old].")

    def check(self, received: Received) -> None:
        sent = self._sent(received)
        if not isinstance(sent, str) or not sent.startswith(self.prefix):
            raise Unverified(f"no {self.name} in the {self.place}, or not as expected")
        _match(self._tokens, [_bytes(sent.removeprefix(self.prefix))])

    def sign(self, unsigned: Received) -> dict[str, str]:  # noqa: ARG002 - the token is always the same
        if self.place != "header":
            raise ValueError(f"the token {self.name} stands in the {self.place}, not in a header")
        return {self.name: self.prefix + self.secret[0].get_secret_value()}

    @property
    def proving_headers(self) -> frozenset[str]:
        return frozenset({self.name.lower()} if self.place == "header" else ())

    @property
    def proving_field(self) -> str | None:
        return self.name if self.place == "body" else None

    @cached_property
    def _tokens(self) -> tuple[bytes, ...]:
        return tuple(to_bytes(secret.get_secret_value()) for secret in self.secret)

    def _sent(self, received: Received) -> Any:
        if self.place == "header":
            return received.headers.get(self.name.lower())
        if self.place == "query":
            return received.query.get(self.name)
        data = received.content.data
        return data.get(self.name) if isinstance(data, dict) else None


class Basic(Scheme):
    """User and password of HTTP (RFC 7617)."""

    scheme: Literal["basic"]
    username: str = Field(pattern="^[^:]+$")
    password: Secrets = Field(description="One, or a list such as [new, old].")

    def check(self, received: Received) -> None:
        scheme, _, credentials = _header(received.headers, "Authorization").partition(" ")
        if scheme.lower() != "basic":
            raise Unverified("expected Authorization: Basic")
        _match(self._credentials, [_decode(credentials, "base64")])

    def sign(self, unsigned: Received) -> dict[str, str]:  # noqa: ARG002 - the credentials are always the same
        return {"Authorization": "Basic " + _encode(self._credentials[0], "base64")}

    @cached_property
    def _credentials(self) -> tuple[bytes, ...]:
        return tuple(to_bytes(f"{self.username}:{password.get_secret_value()}") for password in self.password)


Verify = Annotated[Hmac | StandardWebhooks | Token | Basic | Trusting, Field(discriminator="scheme")]


def _header(headers: Headers, name: str) -> str:
    value = headers.get(name.lower())
    if not value:
        raise Unverified(f"no {name} header")
    return value


def _signatures(parts: list[str], prefix: str, encoding: Encoding) -> list[bytes]:
    if len(parts) > MAX_SIGNATURES:
        raise Unverified(f"more than {MAX_SIGNATURES} signatures")
    stripped = [part.strip() for part in parts]
    return [_decode(part.removeprefix(prefix), encoding) for part in stripped if part.startswith(prefix)]


def _match(expected: Iterable[bytes], given: Iterable[bytes]) -> None:
    if not any(hmac.compare_digest(ours, theirs) for ours in expected for theirs in given):
        raise Unverified("the proof does not match")


def _decode(text: str, encoding: Encoding) -> bytes:
    """The bytes, or none for what is no such text."""
    try:
        return binascii.unhexlify(text) if encoding == "hex" else binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return b""


def _encode(digest: bytes, encoding: Encoding) -> str:
    return digest.hex() if encoding == "hex" else b64encode(digest).decode()


def _bytes(text: str) -> bytes:
    try:
        return to_bytes(text)
    except UnicodeEncodeError as error:
        raise Unverified("characters that no header can have") from error


def _standard_key(secret: str) -> bytes:
    text = secret.strip().removeprefix("whsec_")
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError as error:
        raise ValueError("secret: expected whsec_ and base64") from error


def _epoch(now: datetime) -> str:
    return str(int(now.timestamp()))
