"""The rules of a time zone change on disk, as governments do that at short notice."""

import asyncio
import os
import signal
import struct
import zoneinfo
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.faults.tick_history import tick_histories
from tests.gateway_process import GatewayProcess
from tests.gateways import Settings, nodes_of, running, scheduled
from tests.target_server import TargetServer

BEFORE, AFTER = timedelta(hours=5), timedelta(hours=7)
SOON = timedelta(seconds=8)  # time to start a gateway, and to start it again


class Zones:
    """A folder that comes before those of the system, with one zone that has a fixed offset."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "zones" / "Europe" / "Berlin"
        self._file.parent.mkdir(parents=True)
        self.env = {"PYTHONTZPATH": os.pathsep.join([str(folder / "zones"), *zoneinfo.TZPATH])}

    def set(self, offset: timedelta) -> None:
        """In the format of RFC 9636, version 1: nothing but one kind of local time."""
        head = struct.pack(">4s16x6l", b"TZif", 0, 0, 0, 0, 1, 4)
        self._file.write_bytes(head + struct.pack(">lBB4s", offset // timedelta(seconds=1), 0, 0, b"XXX"))


def at(instant: datetime, offset: timedelta) -> Settings:
    local = instant + offset
    return {"cron": f"{local:%S %M %H} * * *", "timezone": "Europe/Berlin"}


async def restarted(node: GatewayProcess) -> None:
    await node.terminate()
    await node.start()


async def reloaded(node: GatewayProcess) -> None:
    node.send(signal.SIGHUP)


async def takes_notice(folder: Path, notice: Callable[[GatewayProcess], Awaitable[None]]) -> None:
    zones, url = Zones(folder), f"sqlite:///{folder}/gateway.db"
    zones.set(BEFORE)
    due = datetime.now(UTC).replace(microsecond=0) + SOON  # noqa: TID251 - the true time
    async with TargetServer() as target:
        config = scheduled(target, url, {"now": at(due, AFTER), "not-now": at(due, BEFORE)})
        [node] = nodes_of(config, folder, env=zones.env)
        async with running(node):
            zones.set(AFTER)
            await notice(node)
            await target.wait_for_calls(1, seconds=2 * SOON.total_seconds())
            await node.terminate()
    histories = await tick_histories(url)
    assert {name: history.instants for name, history in histories.items()} == {"now": [due], "not-now": []}


async def test_t10_the_rules_of_a_zone_change(tmp_path: Path) -> None:
    """What was due in hours is due now, and what was due now is due in hours; after a restart as after a reload."""
    async with asyncio.TaskGroup() as machines:
        for notice in (restarted, reloaded):
            machines.create_task(takes_notice(tmp_path / notice.__name__, notice))
