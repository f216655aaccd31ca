"""Identifiers: UUIDv7 (RFC 9562), whose text sorts by the time it was made."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

from uuid_utils import uuid7

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_id() -> str:
    """A fresh id; ids of one process sort in the order they were made."""
    return str(uuid7())


def derived_id(instant: datetime, *names: str) -> str:
    """The id of what happens at an instant under these names: the same for everybody who works it out."""
    digest = int.from_bytes(sha256("\0".join((instant.isoformat(), *names)).encode()).digest()[:10])
    rest = (0x7 << 76) | ((digest >> 62 & 0xFFF) << 64) | (0b10 << 62) | (digest & (2**62 - 1))
    return str(UUID(int=(_milliseconds(instant) << 80) | rest))


def earliest_id(instant: datetime) -> str:
    """An id before all that are made from that instant on."""
    return str(UUID(int=_milliseconds(instant) << 80))


def _milliseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def is_id(text: str) -> bool:
    """Whether a text from outside can be the id of anything here."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
