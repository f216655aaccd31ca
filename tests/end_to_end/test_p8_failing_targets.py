"""P8: a failing target is not hammered."""

from pathlib import Path

from tests.end_to_end.sending import caught, send_all, sent
from tests.gateway_client import GatewayClient
from tests.gateways import configuration, nodes_of, running
from tests.target_answer import Answer
from tests.target_server import Call, TargetServer
from tests.waiting import until


def bursts(calls: list[Call]) -> list[list[float]]:
    """The times of calls, parted where there was none for half a second."""
    parted: list[list[float]] = []
    for at in sorted(call.at for call in calls):
        if parted and at - parted[-1][-1] < 0.5:
            parted[-1].append(at)
        else:
            parted.append([at])
    return parted


async def probes(folder: Path, url: str, *defects: str) -> None:
    """The breaker is that of both nodes: once it has opened, one call for each pause, which doubles."""
    async with TargetServer(Answer(status=500)) as target:
        calls = {
            "concurrency": 4,
            "retry": {"attempts": 100, "delays": ["50ms"]},
            "breaker": {"failures": 4, "pause": "1s"},
        }
        one, other = nodes_of(configuration(target, url, calls=calls), folder, 2, broken=defects)
        async with running(one, other), GatewayClient(one.url) as first, GatewayClient(other.url) as second:
            await send_all([sent(number) for number in range(30)], first, second)

            async def seen() -> bool:
                assert len(target.calls) < 4 + 4 + 2
                return len(bursts(target.calls)) >= 3

            await until(seen, True, "two pauses", seconds=8)
            first_calls, *probes = bursts(target.calls)
            assert len(first_calls) < 4 + 4
            assert [len(burst) for burst in probes] == [1, 1]
            assert probes[0][0] - first_calls[-1] > 0.9
            assert probes[1][0] - probes[0][0] > 1.9


async def test_p8_two_nodes_probe_a_failing_target_in_turns(tmp_path: Path, postgres_url: str) -> None:
    await probes(tmp_path, postgres_url)


async def test_p8_the_breaker_is_tested(tmp_path: Path, postgres_url: str) -> None:
    with caught():
        await probes(tmp_path, postgres_url, "claims-while-the-breaker-is-open")


async def test_p8_retry_after_pauses_the_whole_target(tmp_path: Path, database_url: str) -> None:
    async with TargetServer() as target:
        target.script.append(Answer(status=503, headers={"Retry-After": "3"}))
        [node] = nodes_of(configuration(target, database_url, calls={"retry": {"delays": ["10ms"]}}), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            await send_all([sent(number) for number in range(10)], client)
            await client.wait_until_idle()

            refused, *done = target.calls
            assert len(done) == 10
            assert min(call.at for call in done) - refused.at >= 3


async def spreads_retries(folder: Path, *defects: str) -> None:
    """Forty runs that fail together do not come back together."""
    async with TargetServer(lambda call: Answer(status=500 if call.attempt == 1 else 200)) as target:
        calls = {"concurrency": 40, "retry": {"base": "4s"}, "breaker": {"failures": 1000}}
        config = configuration(target, "sqlite:///gateway.db", calls=calls)
        [node] = nodes_of(config, folder, broken=defects)
        async with running(node), GatewayClient(node.url) as client:
            await send_all([sent(number) for number in range(40)], client)
            await client.wait_until_idle()

            failed = {call.idempotency_key: call.at for call in target.calls if call.attempt == 1}
            waits = sorted(call.at - failed[call.idempotency_key] for call in target.calls if call.attempt == 2)
            assert len(waits) == 40
            assert waits[-1] - waits[0] > 2


async def test_p8_retries_are_spread(tmp_path: Path) -> None:
    await spreads_retries(tmp_path)


async def test_p8_the_jitter_is_tested(tmp_path: Path) -> None:
    with caught():
        await spreads_retries(tmp_path, "retries-without-jitter")
