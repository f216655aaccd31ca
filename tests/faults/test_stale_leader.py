"""A leader hangs with ticks in its hands, and hands them in when another has made them long since."""

from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.faults.leader import SUCCEEDED, Cluster, stepped_down
from tests.faults.ticks import TickLedger, answer, ticking
from tests.gateway_process import GatewayProcess
from tests.gateways import nodes_of, running
from tests.target_server import TargetServer
from tests.waiting import until

GUARDS = ("ticks-without-epoch", "ticks-whatever-was-made-since", "ticks-have-no-key")


async def is_stopped(node: GatewayProcess) -> bool:
    return psutil.Process(node.pid).status() == psutil.STATUS_STOPPED


async def was_refused(node: GatewayProcess) -> bool:
    return "ticker.refused" in [line["event"] for line in node.log_lines()]


async def ticks_late(folder: Path, database_url: str, *defects: str) -> GatewayProcess:
    """Every tick is made once all the same; the leader that was late."""
    async with TargetServer(answer) as target:
        config = ticking(target, database_url)
        [late] = nodes_of(config, folder / "late", broken=["freeze:tick.planned", *defects])
        [other] = nodes_of(config, folder / "other", broken=defects)
        async with running(late):
            cluster = Cluster([late, other], TickLedger(database_url))
            await cluster.follow()
            async with running(other):
                await until(partial(is_stopped, late), True, "the leader is stopped")
                epoch = cluster.epoch
                await cluster.follow(seconds=2 * SUCCEEDED)
                await cluster.ledger.goes_on()
                late.cont()
                await stepped_down(late, epoch)
                await cluster.ledger.check()
    return late


async def test_l02_what_a_former_leader_ticks_is_refused(tmp_path: Path, postgres_url: str) -> None:
    late = await ticks_late(tmp_path, postgres_url)

    assert await was_refused(late)


async def test_c08_a_missing_epoch_is_made_up_for(tmp_path: Path, postgres_url: str) -> None:
    """The leader only saves work: the schedule has gone on since, and a tick has an id that follows from what it is."""
    late = await ticks_late(tmp_path, postgres_url, "ticks-without-epoch")

    assert not await was_refused(late)


async def test_c08_ticks_that_nothing_guards_come_to_light(tmp_path: Path, postgres_url: str) -> None:
    with pytest.raises(AssertionError, match="recorded twice"):
        await ticks_late(tmp_path, postgres_url, *GUARDS)
