"""Nodes and their leases. A node holds one lease for all its runs; when it is over, its runs are lost.

On PostgreSQL leases end by the database's clock. On SQLite the owner of the file is the only node: its lease never
ends, and those of its forerunners are over when it starts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import delete, exists, insert, or_, select, update

from gateway.store.claim import ClaimedRun
from gateway.store.clock import database_now, from_now
from gateway.store.database import Database
from gateway.store.schema import is_running, nodes, runs, targets
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


async def register(database: Database, node: Node, lease: timedelta) -> None:
    """Makes a node known, with a lease; adds the rows of targets that are new."""
    await database.commit(_register, (node, lease))


async def _register(work: Work, registrations: Sequence[tuple[Node, timedelta]]) -> list[None]:
    for node, lease in registrations:
        await _insert(work, node, lease)
    return [None for _ in registrations]


async def _insert(work: Work, node: Node, lease: timedelta) -> None:
    values: dict[str, Any] = {
        "id": node.id,
        "name": node.name,
        "version": node.version,
        "config_hash": node.config_hash,
        "labels": orjson.dumps(node.labels),
        "targets": orjson.dumps(node.targets),
        "started_at": work.now,
    }
    if work.connection.dialect.name == "sqlite":
        await work.connection.execute(delete(nodes))
    else:
        values["lease_until"] = from_now(lease)
    await work.connection.execute(insert(nodes).values(values))
    known = set(await work.connection.scalars(select(targets.c.name)))
    if new := [{"name": name} for name in node.targets if name not in known]:
        await work.connection.execute(insert(targets), new)


async def renew(database: Database, node_id: str, lease: timedelta) -> bool:
    """Prolongs a lease; `False` where it was over, and this node's runs are somebody else's."""
    if database.is_sqlite:
        return True
    lasting = update(nodes).where(nodes.c.id == node_id, nodes.c.lease_until > database_now())
    async with database.engine.begin() as connection:
        renewed = await connection.execute(lasting.values(lease_until=from_now(lease)))
        return renewed.rowcount == 1


async def touch(database: Database, node_id: str) -> None:
    """Writes something that changes nothing. Raises where the database, or the disk under it, takes no writes."""
    database.check_file()
    await database.commit(_touch, node_id)


async def _touch(work: Work, node_ids: Sequence[str]) -> list[None]:
    await work.connection.execute(update(nodes).where(nodes.c.id.in_(node_ids)).values(name=nodes.c.name))
    return [None for _ in node_ids]


async def retire(database: Database, node_id: str) -> None:
    """Gives the lease back: what the node still runs is lost at once. On SQLite the next start does that."""
    if database.is_sqlite:
        return
    async with database.engine.begin() as connection:
        await connection.execute(delete(nodes).where(nodes.c.id == node_id))


async def lost_runs(database: Database) -> list[ClaimedRun]:
    """Runs in progress on a node that has no lease any more."""
    alive = select(nodes.c.id).where(
        nodes.c.id == runs.c.node_id, or_(nodes.c.lease_until.is_(None), nodes.c.lease_until > database_now())
    )
    columns = [runs.c[name] for name in ClaimedRun.__slots__]
    async with database.read() as connection:
        rows = await connection.execute(select(*columns).where(is_running, ~exists(alive)))
        return [ClaimedRun(**row._mapping) for row in rows]  # noqa: SLF001 - the documented name


async def cancelled_runs(database: Database, node_id: str) -> list[str]:
    """Runs in progress on this node that somebody has cancelled."""
    async with database.read() as connection:
        mine = select(runs.c.id).where(is_running, runs.c.node_id == node_id, runs.c.cancelling.is_(True))
        return list((await connection.scalars(mine)).all())


async def list_nodes(database: Database) -> list[dict[str, Any]]:
    """All nodes with a lease, and until when it lasts."""
    async with database.read() as connection:
        rows = await connection.execute(
            select(nodes).where(or_(nodes.c.lease_until.is_(None), nodes.c.lease_until > database_now()))
        )
        return [
            {
                **{name: getattr(row, name) for name in ("id", "name", "version", "config_hash", "started_at")},
                "labels": orjson.loads(row.labels),
                "targets": orjson.loads(row.targets),
                "lease_until": row.lease_until,
            }
            for row in rows.all()
        ]
