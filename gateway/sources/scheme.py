"""What the ways of verifying a sender have in common: secrets, and comparisons that give nothing away.

Proofs are compared as bytes and in constant time. Whatever a stranger sends, the outcome is `Unverified` and nothing
else.
"""

import binascii
import hmac
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from gateway.core.errors import Unverified
from gateway.sources.incoming import Received

MAX_SECRETS = 8

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
        """The headers with which a sender proves itself."""
        return {}

    def sign_query(self) -> dict[str, str]:
        """The parameters of the address with which it does."""
        return {}

    def sign_body(self) -> dict[str, str]:
        """The fields of the body with which it does."""
        return {}

    def replay_of(self, received: Received) -> str | None:  # noqa: ARG002 - nothing is signed
        """What a signed request and its replay have in common, where no time in it tells them apart."""
        return None

    @property
    def proving_headers(self) -> frozenset[str]:
        """The headers, in lower case, that hold a proof: never kept with an event."""
        return frozenset()

    @property
    def proving_field(self) -> str | None:
        """The field of the body that holds a proof: never kept with an event."""
        return None


def required(headers: Headers, name: str) -> str:
    """The value of a header. Raises `Unverified` where it is missing or empty."""
    value = headers.get(name.lower())
    if not value:
        raise Unverified(f"no {name} header")
    return value


def compare(expected: Iterable[bytes], given: Iterable[bytes]) -> None:
    """Raises `Unverified` unless one of what was given is one of what is expected."""
    if not any(hmac.compare_digest(ours, theirs) for ours in expected for theirs in given):
        raise Unverified("the proof does not match")


def decode(text: str, encoding: Encoding) -> bytes:
    """The bytes, or none for what is no such text."""
    try:
        return binascii.unhexlify(text) if encoding == "hex" else binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return b""


def encode(digest: bytes, encoding: Encoding) -> str:
    return digest.hex() if encoding == "hex" else b64encode(digest).decode()


def sent_bytes(text: str) -> bytes:
    """The bytes that came over the wire as this text. Raises `Unverified` for what cannot have come so."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise Unverified("characters that no header can have") from error
