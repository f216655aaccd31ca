"""Names that users give to things."""

from typing import Annotated

from pydantic import AfterValidator, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$", max_length=100)]

RESERVED = ("gateway", "api", "upcoming")


def _refuse_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"the name {name!r} is reserved")
    return name


SourceName = Annotated[Name, AfterValidator(_refuse_reserved)]
"""The name of a source or of a schedule: these share one name space."""
