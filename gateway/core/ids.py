"""Identifiers: UUIDv7 (RFC 9562), whose text sorts by the time it was made."""

from datetime import datetime
from uuid import UUID

from uuid_utils import uuid7


def new_id() -> str:
    """A fresh id; ids of one process sort in the order they were made."""
    return str(uuid7())


def earliest_id(instant: datetime) -> str:
    """An id before all that are made from that instant on."""
    return str(UUID(int=int(instant.timestamp() * 1000) << 80))


def is_id(text: str) -> bool:
    """Whether a text from outside can be the id of anything here."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
