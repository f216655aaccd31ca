"""What a database error means for the transaction that met it: the one place that knows the drivers' codes."""

from enum import Enum, auto

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.core.errors import Unavailable

log = structlog.get_logger(__name__)

_CONFLICTS = frozenset({"40001", "40P01", "23505"})  # serialization failure, deadlock, unique violation
# connection, resources, operator, system, corruption; read-only standby
_AWAY_CLASSES = ("08", "53", "57", "58", "XX", "25")
_SQLITE_CONFLICTS = ("UNIQUE constraint failed",)
_SQLITE_AWAY = frozenset({"OperationalError", "DatabaseError"})  # locked, full or read-only; malformed


class Fault(Enum):
    """Repeat at once, wait for the database, or blame what was asked for."""

    CONFLICT = auto()
    AWAY = auto()
    REQUEST = auto()


def classify(error: Exception) -> Fault:
    """What to do about an error out of a transaction."""
    if isinstance(error, PoolTimeout | InterfaceError | OSError | TimeoutError):
        return Fault.AWAY
    if not isinstance(error, DBAPIError):
        return Fault.REQUEST
    code = getattr(error.orig, "sqlstate", None) or ""
    if code in _CONFLICTS or any(text in str(error.orig) for text in _SQLITE_CONFLICTS):
        return Fault.CONFLICT
    if error.connection_invalidated or code.startswith(_AWAY_CLASSES):
        return Fault.AWAY
    return Fault.AWAY if type(error.orig).__name__ in _SQLITE_AWAY else Fault.REQUEST


def told(error: Exception) -> str:
    """An error in a line for the log; many of them say nothing but their name."""
    return f"{type(error).__name__}: {error}".partition("\n")[0][:200]


def to_caller(error: Exception) -> Exception:
    """What whoever asked is told: that the store is unavailable, unless the request itself is to blame."""
    if classify(error) is Fault.REQUEST:
        return error
    log.error("store.unavailable", error=told(error))
    return Unavailable("the database cannot be used now", retry_after=2)
