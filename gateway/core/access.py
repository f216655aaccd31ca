"""Who may do what: tokens and their roles."""

from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator


class Role(StrEnum):
    """What the bearer of a token may do; each may also do what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


def _refuse_empty(token: SecretStr) -> SecretStr:
    if not token.get_secret_value().strip():
        raise ValueError("an empty token lets everybody in; is a variable empty?")
    return token


class Token(BaseModel):
    """A bearer token, and the name under which the audit trail knows its bearer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=100, description="What the records call whoever bears it.")
    token: Annotated[SecretStr, AfterValidator(_refuse_empty)] | None = Field(
        None, description="What is sent as `Authorization: Bearer …`."
    )
    token_sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="Its hash instead, for a file that shall not hold it."
    )
    role: Role = Field(description="viewer looks; operator also acts; admin also writes schedules.")

    @model_validator(mode="after")
    def _check_one_of_both(self) -> Self:
        if (self.token is None) == (self.token_sha256 is None):
            raise ValueError("expected either token or token_sha256")
        return self

    @cached_property
    def digest(self) -> bytes:
        """What is compared."""
        if self.token is not None:
            return digest_of(self.token.get_secret_value())
        return bytes.fromhex(self.token_sha256 or "")


def digest_of(token: str) -> bytes:
    """The hash of a token, which is long and random: nothing is gained by hashing it slowly."""
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
