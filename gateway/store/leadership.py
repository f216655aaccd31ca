"""Who leads the clock: one row, held under a lease that ends by the database's clock.

Each time the row is taken its epoch grows. A leader that hung finds out by that: whatever it writes is checked, in the
same transaction, against the epoch under which it was elected.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, true, update

from gateway.store.clock import database_now, from_now
from gateway.store.database import Database, notify
from gateway.store.leases import Node
from gateway.store.schema import leadership
from gateway.store.writer import Work

_CLOCK = "clock"
_of_clock = leadership.c.name == _CLOCK
_lasts = leadership.c.lease_until > database_now()


class NotLeading(Exception):  # noqa: N818 - the name says what is wrong
    """A leader wrote something after its leadership was over; nothing of that transaction is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidacy:
    """A node that would lead, for so long without renewing."""

    node: Node
    lease: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Leading:
    """One time in office: it ends for good, and a node that leads again does so under another epoch."""

    node_id: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """A leader that would go on, for so long from now."""

    leading: Leading
    lease: timedelta


def seek(work: Work, candidacies: Sequence[Candidacy]) -> list[Leading | None]:
    """Elects those who ask while nobody leads; the others get `None`."""
    return [_seek(work.connection, candidacy) for candidacy in candidacies]


def _seek(connection: Connection, candidacy: Candidacy) -> Leading | None:
    """A node may take over from itself: it asks only if it does not know that it leads."""
    node_id = candidacy.node.id
    holder = {"node_id": node_id, "node": candidacy.node.name, "lease_until": from_now(candidacy.lease)}
    taking = update(leadership).where(_of_clock, _may_be_taken(connection, node_id))
    epoch = connection.scalar(taking.values(epoch=leadership.c.epoch + 1, **holder).returning(leadership.c.epoch))
    if epoch is None and connection.scalar(select(leadership.c.epoch).where(_of_clock)) is None:
        first = insert(leadership).values(name=_CLOCK, epoch=1, **holder)
        epoch = connection.scalar(first.returning(leadership.c.epoch))
    return None if epoch is None else Leading(node_id=node_id, epoch=epoch)


def _may_be_taken(connection: Connection, node_id: str) -> ColumnElement[bool]:
    """On SQLite whoever is in the row is gone: the file has one owner."""
    is_sqlite = connection.dialect.name == "sqlite"
    return true() if is_sqlite else or_(~_lasts, leadership.c.node_id == node_id)


def renew(work: Work, renewals: Sequence[Renewal]) -> list[bool]:
    """Prolongs each leadership; `False` where it is over."""
    return [_let_last(work.connection, renewal.leading, from_now(renewal.lease)) for renewal in renewals]


def resign(work: Work, resigning: Sequence[Leading]) -> list[None]:
    """Ends each leadership at once, and tells the candidates."""
    for leading in resigning:
        if _let_last(work.connection, leading, database_now()):
            notify(work.connection, orjson.dumps({"leader": None}).decode())
    return [None for _ in resigning]


def _let_last(connection: Connection, leading: Leading, until: ColumnElement[Any]) -> bool:
    changed = update(leadership).where(_is_held(leading)).values(lease_until=until).returning(leadership.c.epoch)
    return connection.scalar(changed) is not None


def check_leading(work: Work, leading: Leading) -> None:
    """Lets nobody take over before this transaction has ended. Raises `NotLeading` where somebody may have already."""
    held = select(leadership.c.epoch).where(_is_held(leading)).with_for_update(read=True)
    if work.connection.scalar(held) is None:
        raise NotLeading(f"the leadership of epoch {leading.epoch} is over")


def refusal(work: Work, writers: Iterable[Leading]) -> NotLeading | None:
    """What to answer all who write as leaders in this transaction, where one of them is none any more."""
    try:
        for leading in set(writers):
            check_leading(work, leading)
    except NotLeading as error:
        return error
    return None


def _is_held(leading: Leading) -> ColumnElement[bool]:
    is_its_own = leadership.c.node_id == leading.node_id
    return and_(_of_clock, is_its_own, leadership.c.epoch == leading.epoch, _lasts)


async def who_leads(database: Database) -> dict[str, Any] | None:
    """The leader, its epoch and until when its lease lasts; `None` while there is none."""
    names = ("node_id", "node", "epoch", "lease_until")
    async with database.read() as connection:
        row = (await connection.execute(select(leadership).where(_of_clock, _lasts))).one_or_none()
    return None if row is None else {name: getattr(row, name) for name in names}
