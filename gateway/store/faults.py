"""What a database error means for the transaction that met it: the one place that knows the drivers' codes."""

from enum import Enum, auto

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_CONFLICTS = frozenset({"40001", "40P01", "23505"})  # serialization failure, deadlock, unique violation
_AWAY_CLASSES = ("08", "53", "57", "58", "25")  # connection, resources, operator, system; read-only standby
_SQLITE_CONFLICTS = ("UNIQUE constraint failed",)


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
    return Fault.AWAY if isinstance(error, OperationalError) else Fault.REQUEST
