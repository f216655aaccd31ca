"""Nodes and their leases. A node holds one lease for all its runs; when it is over, its runs are lost.

On PostgreSQL leases end by the database's clock. On SQLite the owner of the file is the only node: its lease never
ends, and those of its forerunners are over when it starts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import delete, exists, insert, select, update

from gateway.store.claim import HOLDS_LEASE, ClaimedRun
from gateway.store.clock import database_now, from_now
from gateway.store.database import Database
from gateway.store.lanes import lock_targets
from gateway.store.schema import is_running, nodes, runs
from gateway.store.writer import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One process, from its start to its end; never a second one with the same id."""

    id: str
    name: str
    version: str
    config_hash: str
    labels: tuple[str, ...]
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holding:
    """A node with the length of its lease; on SQLite it has none that could end."""

    node: Node
    lease: timedelta | None


async def register(database: Database, node: Node, lease: timedelta) -> None:
    """Makes a node known, with a lease; adds the rows of targets that are new."""
    await database.commit(_register, _Holding(node=node, lease=None if database.is_sqlite else lease))


def _register(work: Work, holdings: Sequence[_Holding]) -> list[None]:
    for holding in holdings:
        node = holding.node
        forerunners = delete(nodes) if holding.lease is None else delete(nodes).where(nodes.c.id == node.id)
        work.connection.execute(forerunners)
        values = {
            "id": node.id,
            "name": node.name,
            "version": node.version,
            **_described(node),
            "started_at": work.now,
            "lease_until": None if holding.lease is None else from_now(holding.lease),
        }
        work.connection.execute(insert(nodes).values(values))
        lock_targets(work.connection, node.targets)
    return [None for _ in holdings]


async def describe(database: Database, node: Node) -> None:
    """Makes known what a node is by another configuration; adds the rows of targets that are new."""
    await database.commit(_describe, node)


def _describe(work: Work, described: Sequence[Node]) -> list[None]:
    for node in described:
        work.connection.execute(update(nodes).where(nodes.c.id == node.id).values(_described(node)))
        lock_targets(work.connection, node.targets)
    return [None for _ in described]


def _described(node: Node) -> dict[str, Any]:
    return {
        "config_hash": node.config_hash,
        "labels": orjson.dumps(node.labels),
        "targets": orjson.dumps(node.targets),
    }


async def renew(database: Database, node_id: str, lease: timedelta) -> bool:
    """Prolongs a lease; `False` where it was over, and this node's runs are somebody else's."""
    return database.is_sqlite or await database.commit(_renew, (node_id, lease))


def _renew(work: Work, renewals: Sequence[tuple[str, timedelta]]) -> list[bool]:
    renewed = []
    for node_id, lease in renewals:
        lasting = update(nodes).where(nodes.c.id == node_id, nodes.c.lease_until > database_now())
        renewed.append(work.connection.execute(lasting.values(lease_until=from_now(lease))).rowcount == 1)
    return renewed


async def touch(database: Database, node_id: str) -> None:
    """Writes something that changes nothing. Raises where the database, or the disk under it, takes no writes."""
    database.check_room()
    await database.commit(_touch, node_id)


def _touch(work: Work, node_ids: Sequence[str]) -> list[None]:
    work.connection.execute(update(nodes).where(nodes.c.id.in_(node_ids)).values(name=nodes.c.name))
    return [None for _ in node_ids]


async def retire(database: Database, node_id: str) -> None:
    """Gives the lease back: what the node still runs is lost at once."""
    await database.commit(_retire, node_id)


def _retire(work: Work, node_ids: Sequence[str]) -> list[None]:
    work.connection.execute(delete(nodes).where(nodes.c.id.in_(node_ids)))
    return [None for _ in node_ids]


async def lost_runs(database: Database) -> list[ClaimedRun]:
    """Runs in progress on a node that has no lease any more.

    Such a node is forgotten first: a renewal under way at that moment either comes before, or finds no lease.
    """
    if not database.is_sqlite:
        await database.commit(_forget_expired, None)
    columns = [runs.c[name] for name in ClaimedRun.__slots__]
    lost = select(*columns).where(is_running, ~exists(select(nodes.c.id).where(nodes.c.id == runs.c.node_id)))
    async with database.read() as connection:
        return [ClaimedRun(**row._mapping) for row in await connection.execute(lost)]  # noqa: SLF001 - the documented name


def _forget_expired(work: Work, askers: Sequence[None]) -> list[None]:
    work.connection.execute(delete(nodes).where(nodes.c.lease_until <= database_now()))
    return [None for _ in askers]


async def cancelled_runs(database: Database, node_id: str) -> list[str]:
    """Runs in progress on this node that somebody has cancelled."""
    async with database.read() as connection:
        mine = select(runs.c.id).where(is_running, runs.c.node_id == node_id, runs.c.cancelling.is_(True))
        return list((await connection.scalars(mine)).all())


async def list_nodes(database: Database) -> list[dict[str, Any]]:
    """All nodes with a lease, and until when it lasts."""
    async with database.read() as connection:
        rows = await connection.execute(select(nodes).where(HOLDS_LEASE))
        return [
            {
                **{name: getattr(row, name) for name in ("id", "name", "version", "config_hash", "started_at")},
                "labels": orjson.loads(row.labels),
                "targets": orjson.loads(row.targets),
                "lease_until": row.lease_until,
            }
            for row in rows.all()
        ]
