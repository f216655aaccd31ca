"""Who may do what: tokens and their roles."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr


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

    name: str = Field(min_length=1, max_length=100)
    token: Annotated[SecretStr, AfterValidator(_refuse_empty)]
    role: Role
