"""P9: bad input gets a clear error, and harms nothing else."""

import asyncio
from pathlib import Path

from tests.end_to_end.sending import send_all, sent
from tests.gateway_client import GatewayClient
from tests.gateways import configuration, nodes_of, running
from tests.target_server import TargetServer

HOOK = "/hooks/hook"
REFUSED: list[tuple[int, str, bytes, dict[str, str]]] = [
    (400, HOOK, b"", {}),
    (400, HOOK, b"{", {}),
    (400, HOOK, b"[" * 100_000, {}),
    (400, HOOK, b'{"id": NaN}', {}),
    (400, HOOK, b'{"id": "\\ud800", "type": "sent"}', {}),
    (400, HOOK, b'{"id": "\xff"}', {}),
    (400, HOOK, b"no gzip at all", {"Content-Encoding": "gzip"}),
    (413, HOOK, b" " * (2**20 + 1), {}),
    (422, HOOK, b'{"id": "without-type"}', {}),
    (422, HOOK, b"[]", {}),
    (404, "/hooks/nobody", b"{}", {}),
    (404, "/api/v1/runs/nothing/cancel", b"{}", {}),
    (404, "/api/v1/targets/nobody/run", b"{}", {}),
]
NEIGHBOURS = 40


async def test_p9_bad_input_is_refused_and_harms_no_neighbour(tmp_path: Path, database_url: str) -> None:
    async with TargetServer() as target:
        [node] = nodes_of(configuration(target, database_url, calls={"concurrency": 8}), tmp_path)
        async with running(node), GatewayClient(node.url) as client:
            neighbours = send_all([sent(number) for number in range(NEIGHBOURS)], client)
            refusals = asyncio.gather(*(client.send(body, path=path, **headers) for _, path, body, headers in REFUSED))
            accepted, refused = await asyncio.gather(neighbours, refusals)
            await client.wait_until_idle()

            assert {reply.status for reply in accepted} == {202}
            assert {call.json["id"] for call in target.calls} == {f"event-{number}" for number in range(NEIGHBOURS)}
            for (status, path, body, _), reply in zip(REFUSED, refused, strict=True):
                said = f"{path} {body[:60]!r}: {reply.body!r}"
                assert reply.status == status, said
                assert reply.headers["Content-Type"] == "application/problem+json", said
                assert reply.json["status"] == status, said
                assert reply.json["detail"], said
            assert not [line for line in node.log_lines() if line["level"] == "error"]
