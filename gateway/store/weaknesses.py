"""What the database's own settings take away from the promise that what is accepted is durable."""

import os
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.database import Database

_OFF = {
    "fsync": "a crash of the machine may lose commits, or all of the database",
    "full_page_writes": "a crash of the machine may damage what was being written",
    "synchronous_commit": "a crash of the server may lose the latest commits",
}
_TRAILING = "commits do not wait for standbys: one that takes over may lack the latest (synchronous_standby_names)"
_ASYNCHRONOUS = text("""
SELECT EXISTS (
    SELECT FROM pg_stat_replication
    WHERE coalesce(sync_state, 'async') = 'async' AND application_name <> 'pg_basebackup'
    AND pid NOT IN (SELECT active_pid FROM pg_replication_slots WHERE active AND slot_type = 'logical')
)
""")
_MOUNTS = Path("/proc/self/mountinfo")
_FORGETFUL = ("ramfs", "tmpfs")
_DISTANT = ("9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "lustre", "nfs", "nfs4", "smb3")


async def weaknesses(database: Database) -> list[str]:
    """Why a commit may be lost all the same, and when, in words. Raises `Unavailable`."""
    if database.is_sqlite:
        return _of_file(Path(database.url.database or ""))
    async with database.read() as connection:
        return await _of_server(connection)


async def _of_server(connection: AsyncConnection) -> list[str]:
    names = [*_OFF, "synchronous_standby_names"]
    rows = await connection.execute(
        text("SELECT name, setting FROM pg_settings WHERE name = ANY(:names)"), {"names": names}
    )
    settings: dict[str, str] = {row.name: row.setting for row in rows}
    found = [f"{name}=off: {consequence}" for name, consequence in _OFF.items() if settings[name] == "off"]
    return [*found, _TRAILING] if await _standbys_trail(connection, settings) else found


async def _standbys_trail(connection: AsyncConnection, settings: Mapping[str, str]) -> bool:
    if settings["synchronous_standby_names"]:
        return settings["synchronous_commit"] in ("off", "local")
    return bool(await connection.scalar(_ASYNCHRONOUS))


def _of_file(file: Path) -> list[str]:
    kind = file_system(file)
    if kind in _FORGETFUL:
        return [f"the file is in memory ({kind}): it is gone with the machine"]
    if kind in _DISTANT:
        return [f"the file is on a network file system ({kind}): its locks and its cache may damage it"]
    return []


def file_system(file: Path) -> str | None:
    """The kind of file system that a file is on, where Linux tells."""
    device = file.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = [line.split() for line in _MOUNTS.read_text().splitlines()]
    except OSError:
        return None
    return next((mount[mount.index("-") + 1] for mount in mounts if mount[2] == number), None)
