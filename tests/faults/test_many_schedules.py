"""Ten thousand schedules that are due in the same second."""

import time
from pathlib import Path

from tests.gateway_client import GatewayClient
from tests.gateways import nodes_of, running, scheduled
from tests.target_server import TargetServer
from tests.waiting import until

MANY = 10_000
AHEAD = 12  # seconds in which a gateway starts and stores them; if it takes longer, some are due a minute later


async def test_t08_a_herd(tmp_path: Path, database_url: str) -> None:
    """Each of them becomes a run."""
    second = time.gmtime(time.time() + AHEAD).tm_sec
    schedules = {f"schedule-{number}": {"cron": f"{second} * * * * *"} for number in range(MANY)}
    async with TargetServer() as target:
        config = scheduled(target, database_url, schedules)
        config["targets"]["sync"]["hold"] = "always"
        config["windows"] = {"always": {"cron": "* * * * *", "for": "2m"}}
        [node] = nodes_of(config, tmp_path)
        async with running(node), GatewayClient(node.url) as client:

            async def waiting() -> int:
                [sync] = (await client.get("targets"))["items"]
                return int(sync["waiting"])

            await until(waiting, MANY, "runs that wait", seconds=90)
            runs = await client.runs()
    assert sorted(run["schedule"] for run in runs) == sorted(schedules)
