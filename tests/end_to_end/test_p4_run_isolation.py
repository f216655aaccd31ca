"""P4: never more than the allowed runs of a target, or of one key of it, at the same time, over all nodes."""

from pathlib import Path

from tests.end_to_end.sending import caught, send_all, sent
from tests.gateway_client import GatewayClient
from tests.gateways import configuration, nodes_of, running
from tests.target_answer import Answer
from tests.target_server import Call, TargetServer


async def isolates(folder: Path, url: str, *defects: str) -> None:
    """Two at once, and one of each site, over two nodes that both want more."""

    def site(call: Call) -> str:
        return str(int(call.json["id"].removeprefix("event-")) % 4)

    async with TargetServer(Answer(delay=0.05), key=site) as target:
        per_key = {"key": "{{ (event.data.id.split('-')[1] | int) % 4 }}"}
        config = configuration(target, url, calls={"concurrency": 2, "per_key": per_key})
        one, other = nodes_of(config, folder, 2, broken=defects)
        async with running(one, other), GatewayClient(one.url) as first, GatewayClient(other.url) as second:
            await send_all([sent(number) for number in range(60)], first, second)
            await first.wait_until_idle(seconds=40)

            assert len(target.calls) == 60
            assert target.max_running == 2
            assert set(target.max_running_by_key.values()) == {1}
            nodes = {(await first.run(run["id"]))["attempts"][0]["node"] for run in await first.runs()}
            assert len(nodes) == 2


async def test_p4_never_more_at_once_than_allowed(tmp_path: Path, postgres_url: str) -> None:
    await isolates(tmp_path, postgres_url)


async def test_p4_is_tested(tmp_path: Path, postgres_url: str) -> None:
    with caught():
        await isolates(tmp_path, postgres_url, "claims-without-the-lock-of-the-target")
