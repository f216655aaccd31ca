"""What a database error means for the transaction that met it: the one place that knows the drivers' codes."""

from enum import Enum, auto

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.core.errors import Unavailable

log = structlog.get_logger(__name__)

_CONFLICTS = frozenset({"40001", "40P01", "23505"})  # serialization failure, deadlock, unique violation
# connection, read-only standby, refused or no such database, resources, operator, system, corruption
_AWAY_CLASSES = ("08", "25", "28", "3D", "53", "57", "58", "XX")
_SQLITE_CONFLICTS = ("UNIQUE constraint failed",)
_AWAY = frozenset(
    {
        "OperationalError",  # SQLite: locked, full or read-only
        "DatabaseError",  # SQLite: malformed
        "InternalClientError",  # asyncpg: only standbys are there
    }
)
_POOLED = frozenset({"26000", "42P05"})  # a prepared statement is missing, or there already: made on another connection
_REFUSED_BY_POOLER = "unsupported startup parameter"


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
    if error.connection_invalidated or code.startswith(_AWAY_CLASSES) or _is_pooled(error):
        return Fault.AWAY
    return Fault.AWAY if type(error.orig).__name__ in _AWAY else Fault.REQUEST


def told(error: Exception) -> str:
    """An error in a line for the log; many of them say nothing but their name."""
    return f"{type(error).__name__}: {error}".partition("\n")[0][:200]


def to_caller(error: Exception) -> Exception:
    """What whoever asked is told: that the store is unavailable, unless the request itself is to blame."""
    if classify(error) is Fault.REQUEST:
        return error
    log.error("store.unavailable", error=told(error))
    if _is_pooled(error):
        return Unavailable("a pooler is in front of the database: it takes `pgbouncer: true`", retry_after=60)
    return Unavailable("the database cannot be used now", retry_after=2)


def _is_pooled(error: Exception) -> bool:
    """Whether a pooler that changes connections is in between, and nobody has told the gateway."""
    return isinstance(error, DBAPIError) and (
        getattr(error.orig, "sqlstate", None) in _POOLED or _REFUSED_BY_POOLER in str(error.orig)
    )
