"""Several nodes on one database, and which of them leads."""

from collections.abc import Sequence
from datetime import datetime

from tests.faults.ticks import TickLedger
from tests.gateway_process import GatewayProcess
from tests.gateways import LEASE
from tests.waiting import until

SUCCEEDED = LEASE + 1  # seconds within which another leads
_EPOCH = "SELECT epoch FROM leadership WHERE lease_until > extract(epoch FROM clock_timestamp()) * 1000000"


class Cluster:
    """Knows the leader by the database; what the nodes believed themselves stands in their logs."""

    def __init__(self, nodes: Sequence[GatewayProcess], ledger: TickLedger) -> None:
        self.nodes = nodes
        self.ledger = ledger
        self.leader = nodes[0]
        self.epoch = 0

    async def begin(self) -> None:
        """Finds the leader, once all nodes are there; its ticks are judged from now on."""
        for node in self.nodes:
            await node.wait_until_ready()
        self.epoch = 0
        await self.follow()
        await self.ledger.open()

    async def follow(self, *, seconds: float = SUCCEEDED) -> None:
        """Waits for the leader that comes after the one known so far."""
        await until(self._is_another_elected, True, f"elected after epoch {self.epoch}", seconds=seconds)

    async def _is_another_elected(self) -> bool:
        epoch = int(await self.ledger.ask(_EPOCH) or 0)
        elected = [node for node in self.nodes if times(node, "leader.elected", epoch)]
        if epoch > self.epoch and elected:
            self.epoch, [self.leader] = epoch, elected
            return True
        return False


def times(node: GatewayProcess, event: str, epoch: int) -> list[datetime]:
    """When a node logged this of the leadership of that epoch."""
    lines = [line for line in node.log_lines() if line["event"] == event and line["epoch"] == epoch]
    return [datetime.fromisoformat(line["timestamp"]) for line in lines]


async def stepped_down(node: GatewayProcess, epoch: int) -> datetime:
    """When it knew that it led no more."""

    async def knows() -> bool:
        return bool(times(node, "leader.lost", epoch))

    await until(knows, True, f"the leader of epoch {epoch} has stepped down")
    return times(node, "leader.lost", epoch)[0]
