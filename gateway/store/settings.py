"""The section `database` of the configuration."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

_SCHEMES = ("sqlite:///", "postgresql://", "postgres://")


def _known_database(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(_SCHEMES):
        raise ValueError("expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE")
    return url


class DatabaseSettings(BaseModel):
    """Where everything is stored; the URL may hold a password."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[SecretStr, AfterValidator(_known_database)] = Field(
        SecretStr("sqlite:///gateway.db"),
        description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE; of several hosts A,B the primary.",
    )
    pgbouncer: bool = Field(default=False, description="No prepared statements, no LISTEN.")
