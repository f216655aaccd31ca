"""The database's clock, read without asking the database each time."""

import time
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from gateway.store.schema import EPOCH, MICROSECOND, Timestamp


class database_now(GenericFunction[datetime]):  # noqa: N801 - written as the SQL function it is
    """The present instant by the database's own clock, even within a long transaction."""

    type = Timestamp()
    inherit_cache = True


@compiles(database_now, "postgresql")
def _postgresql(*_: Any, **__: Any) -> str:
    return "(extract(epoch from clock_timestamp()) * 1000000)::bigint"


@compiles(database_now, "sqlite")
def _sqlite(*_: Any, **__: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"


def from_now(span: timedelta) -> ColumnElement[int]:
    """The instant so long after the present one, by the database's clock."""
    return type_coerce(database_now(), BigInteger) + span // MICROSECOND


class Clock:
    """Follows the database's clock by the monotonic one; `follow` anew every few seconds, as clocks drift and jump."""

    def __init__(self) -> None:
        self._epoch_at_zero = time.time() - time.monotonic()

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self._epoch_at_zero + time.monotonic())

    def follow(self, database_time: datetime, asked: float, answered: float) -> None:
        """Takes over a reading of the database's clock; `asked` and `answered` are monotonic seconds around it."""
        self._epoch_at_zero = (database_time - EPOCH).total_seconds() - (asked + answered) / 2
