"""Probes."""

from datetime import datetime, timedelta

import pytest

from gateway.store.leadership import Candidacy, seek
from tests.web.edges import Gateway


async def test_a_node_that_can_accept_is_ready(gateway: Gateway) -> None:
    assert (await gateway.get("/healthz")).status == 200
    answer = await gateway.get("/readyz")

    assert answer.status == 200
    assert answer.json == {"store": "ok", "dispatcher": "ok", "leader": "degraded: nobody leads the clock"}


async def test_a_leader_is_known_to_all(gateway: Gateway) -> None:
    node = gateway.edge.health.node
    await gateway.edge.database.commit(seek, Candidacy(node=node, lease=timedelta(minutes=1)))
    leader = (await gateway.get("/api/v1/status")).json["leader"]

    assert (await gateway.get("/readyz")).json["leader"] == "ok"
    assert datetime.fromisoformat(leader.pop("lease_until")) > gateway.edge.database.now()
    assert leader == {"node_id": node.id, "node": node.name, "epoch": 1}


async def test_a_node_that_stops_is_alive_but_not_ready(gateway: Gateway) -> None:
    gateway.edge.health.stopping = True

    answer = await gateway.get("/readyz")

    assert answer.status == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["store"] == "ok"
    assert (await gateway.get("/healthz")).status == 200


async def test_a_node_without_its_store_is_alive_but_not_ready(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def commit(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(gateway.edge.database, "commit", commit)

    answer = await gateway.get("/readyz")

    assert answer.status == 503
    assert answer.json["store"] != "ok"
    assert (await gateway.get("/healthz")).status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_are_only_looked_at(gateway: Gateway, path: str) -> None:
    assert (await gateway.ask("HEAD", path)).status == 200
    refused = await gateway.post(path)

    assert refused.status == 405
    assert refused.headers["Allow"] == "GET, HEAD"
