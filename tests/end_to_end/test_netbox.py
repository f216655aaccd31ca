"""NetBox as it really posts: what was captured from one is taken once, and not at all if a byte is different."""

from pathlib import Path

import pytest

from tests.gateway_client import GatewayClient
from tests.gateways import nodes_of, running
from tests.sources.senders import captured
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
