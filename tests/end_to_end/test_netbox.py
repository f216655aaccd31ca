"""NetBox as it really posts: what was captured from one is taken once, and not at all if a byte is different."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.sources.imitate import imitate
from tests.gateway_client import GatewayClient
from tests.gateways import nodes_of, running
from tests.sources.senders import NOW, captured, configured
from tests.target_server import TargetServer


@pytest.mark.parametrize("name", ["netbox-site-created", "netbox-site-updated"])
async def test_it_is_taken_once_and_unchanged_only(tmp_path: Path, name: str) -> None:
    raw, headers = captured(name)
    async with TargetServer() as target:
        config = {
            "sources": {"netbox": {"preset": "netbox", "secret": "s3cr3t"}},
            "targets": {"sync": {"kind": "http", "url": target.url}},
            "triggers": {
                "site": {
                    "on": {"source": "netbox", "type": "netbox.dcim.site.*"},
                    "target": "sync",
                    "payload": {"site": "{{ event.object.slug }}"},
                }
            },
        }
        [node] = nodes_of(config, tmp_path)
        async with running(node), GatewayClient(node.url) as client:

            async def post(body: bytes) -> int:
                sent = {key: value for key, value in headers.items() if key not in ("Host", "Content-Length")}
                return (await client.send(body, path="/hooks/netbox", **sent)).status

            changed = raw.replace(b'"slug"', b'"slux"', 1)
            assert changed != raw
            assert [await post(body) for body in (raw, raw, changed, raw)] == [202, 202, 401, 202]
            await client.wait_until_idle()

            [event] = (await client.get("events"))["items"]
            assert (event["type"], event["deliveries"]) == (name.replace("-site-", ".dcim.site."), 3)
            [call] = target.calls
            assert call.json == {"site": event["object"]["slug"]}


def bulk(request_id: str, count: int) -> list[bytes]:
    """What NetBox posts when so many objects are changed by one request."""
    event: dict[str, Any] = orjson.loads(captured("netbox-site-updated")[0])
    return [
        orjson.dumps(event | {"request_id": request_id, "data": event["data"] | {"id": number}})
        for number in range(count)
    ]


async def test_a_bulk_change_makes_one_run(tmp_path: Path) -> None:
    """Each object is an event of its own, and all of one request are waited for."""
    async with TargetServer() as target:
        config = {
            "sources": {"netbox": {"preset": "netbox", "secret": "s3cr3t"}},
            "targets": {"sync": {"kind": "http", "url": target.url}},
            "triggers": {
                "bulk": {
                    "on": "netbox",
                    "target": "sync",
                    "once": {"key": "{{ event.data.request_id }}"},
                    "debounce": "400ms",
                    "payload": {"request": "{{ event.data.request_id }}"},
                }
            },
        }
        [node] = nodes_of(config, tmp_path)
        async with running(node), GatewayClient(node.url) as client:

            async def post(body: bytes) -> list[str]:
                headers = imitate(configured("netbox").settings, {"Content-Type": "application/json"}, body, NOW)
                return (await client.send(body, path="/hooks/netbox", **headers)).run_ids

            runs = [
                await asyncio.gather(*(post(body) for body in bulk(request_id, 30))) for request_id in ("one", "two")
            ]
            await client.wait_until_idle()

            assert [run["events"] for run in await client.runs()] == [30, 30]
            assert all(len({run_id for made in each for run_id in made}) == 1 for each in runs)
            assert sorted(call.json["request"] for call in target.calls) == ["one", "two"]
