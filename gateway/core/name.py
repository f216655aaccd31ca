"""Names that users give to things."""

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

PATTERN = "^[a-z0-9-]+$"
MAX_LENGTH = 100

Name = Annotated[str, StringConstraints(pattern=PATTERN, max_length=MAX_LENGTH)]

RESERVED = ("gateway", "api", "upcoming")


def is_name(text: str) -> bool:
    """Whether anything can be called so."""
    return len(text) <= MAX_LENGTH and re.fullmatch(PATTERN, text) is not None


def _refuse_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"the name {name!r} is reserved")
    return name


SourceName = Annotated[Name, AfterValidator(_refuse_reserved)]
"""The name of a source or of a schedule: these share one name space."""
