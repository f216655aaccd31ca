"""Senders who send their secret along, and those who have none."""

from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from gateway.core.errors import Unverified
from gateway.sources.incoming import Received
from gateway.sources.scheme import Scheme, Secrets, compare, decode, encode, required, sent_bytes

Place = Literal["header", "query", "body"]


class Token(Scheme):
    """A secret that is sent along."""

    scheme: Literal["token"]
    place: Place = Field("header", alias="in", description="Where it stands.")
    name: str = Field(min_length=1, description="Of the header, the query parameter, or the field of the body.")
    prefix: str = Field("", description="What stands before it, such as `Bearer `.")
    secret: Secrets = Field(description="One, or a list such as [new, old].")

    def check(self, received: Received) -> None:
        sent = self._sent(received)
        if not isinstance(sent, str) or not sent.startswith(self.prefix):
            raise Unverified(f"no {self.name} in the {self.place}, or not as expected")
        compare(self._tokens, [sent_bytes(sent.removeprefix(self.prefix))])

    def sign(self, unsigned: Received) -> dict[str, str]:  # noqa: ARG002 - the token is always the same
        return self._proof_in("header")

    def sign_query(self) -> dict[str, str]:
        return self._proof_in("query")

    def sign_body(self) -> dict[str, str]:
        return self._proof_in("body")

    @property
    def proving_headers(self) -> frozenset[str]:
        return frozenset({self.name.lower()} if self.place == "header" else ())

    @property
    def proving_field(self) -> str | None:
        return self.name if self.place == "body" else None

    @cached_property
    def _tokens(self) -> tuple[bytes, ...]:
        return tuple(secret.get_secret_value().encode() for secret in self.secret)

    def _proof_in(self, place: Place) -> dict[str, str]:
        return {self.name: self.prefix + self.secret[0].get_secret_value()} if place == self.place else {}

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
    username: str = Field(pattern="^[^:]+$", description="The only one that is let in.")
    password: Secrets = Field(description="One, or a list such as [new, old].")

    def check(self, received: Received) -> None:
        scheme, _, credentials = required(received.headers, "Authorization").partition(" ")
        if scheme.lower() != "basic":
            raise Unverified("expected Authorization: Basic")
        compare(self._credentials, [decode(credentials, "base64")])

    def sign(self, unsigned: Received) -> dict[str, str]:  # noqa: ARG002 - the credentials are always the same
        return {"Authorization": "Basic " + encode(self._credentials[0], "base64")}

    @cached_property
    def _credentials(self) -> tuple[bytes, ...]:
        return tuple(f"{self.username}:{password.get_secret_value()}".encode() for password in self.password)


class Trusting(Scheme):
    """Everybody who reaches the gateway is believed."""

    scheme: Literal["none"]
