"""A gateway that ends and starts again just before and just after something is due."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from tests.faults.tick_history import tick_histories
from tests.gateway_client import GatewayClient
from tests.gateway_process import GatewayProcess
from tests.gateways import Settings, nodes_of, running, scheduled
from tests.target_server import TargetServer

SECOND = timedelta(seconds=1)
AROUND = 0.05  # seconds before and after the instant
SCHEDULES: Mapping[str, Settings] = {
    "once": {"interval": "1s", "overlap": "allow"},
    "all": {"interval": "1s", "overlap": "allow", "misfire": {"policy": "all"}},
    "impatient": {"interval": "1s", "overlap": "allow", "misfire": {"grace": "1s"}},
}

End = Callable[[GatewayProcess], Awaitable[object]]


async def killed(node: GatewayProcess) -> None:
    node.kill()


async def survives_restarts(folder: Path, end: End, *, count: int, defects: Sequence[str] = ()) -> None:
    """Each due instant is on record once, and what was made of it is one run, which is carried out."""
    url = f"sqlite:///{folder}.db"
    async with TargetServer() as ticked:
        [node] = nodes_of(scheduled(ticked, url, SCHEDULES), folder, broken=defects)
        async with running(node):
            for _ in range(count):
                await asyncio.sleep(1 - time.time() % 1 + random.uniform(-AROUND, AROUND))
                await end(node)
                await node.start()
            async with GatewayClient(node.url) as client:
                await ticked.wait_for_calls(len(ticked.calls) + 1)
                await client.wait_until_idle()
            await node.terminate()
        runs = {(call.json["schedule"], call.json["instant"], call.idempotency_key) for call in ticked.answered}
    histories = await tick_histories(url)
    for history in histories.values():
        history.check(SECOND)
    made = Counter((name, f"{instant:%FT%TZ}") for name, history in histories.items() for instant in history.instants)
    assert Counter((name, instant) for name, instant, _ in runs) == made
