"""L08: between the nodes and their database is a pooler, which gives each transaction another connection."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import text

from gateway.core.errors import Unavailable
from gateway.store.database import open_database
from gateway.store.settings import DatabaseSettings
from tests.gateway_client import GatewayClient
from tests.gateways import configuration, nodes_of, running
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import PostgreSQL
from tests.stream import sent
from tests.target_server import TargetServer
from tests.waiting import until

TELLS = "`pgbouncer: true`"
TALKS = "for n in 1 2 3 4; do echo line $n; sleep 0.3; done"
DEAF = "trap '' TERM; while :; do sleep 0.05; done"


@pytest.fixture
def pooled_url(postgres: PostgreSQL, postgres_url: str, pgbouncer: PgBouncer) -> str:
    return postgres_url.replace(f":{postgres.port}/", f":{pgbouncer.port}/")


def pooled(target: TargetServer, url: str, labels: list[str]) -> dict[str, Any]:
    """Commands run only on nodes of that label."""
    config = configuration(target, url, server={"labels": labels}, calls={"concurrency": 8})
    command: Mapping[str, Any] = {"kind": "command", "nodes": ["works"], "grace": "100ms"}
    talks, deaf = ({**command, "argv": ["sh", "-c", script]} for script in (TALKS, DEAF))
    tick = {"interval": "1s", "target": "sync", "payload": {"id": "tick"}}
    return {
        **config,
        "database": {"url": url, "pgbouncer": True},
        "targets": {**config["targets"], "talks": talks, "deaf": deaf},
        "schedules": {"tick": tick},
    }


async def test_l08_two_nodes_behind_a_pooler_are_one(tmp_path: Path, target: TargetServer, pooled_url: str) -> None:
    """What one accepts or begins, the other knows, follows and ends, though neither hears of the other."""
    [working] = nodes_of(pooled(target, pooled_url, ["works"]), tmp_path / "working")
    [answering] = nodes_of(pooled(target, pooled_url, []), tmp_path / "answering")
    async with (
        running(working, answering),
        GatewayClient(working.url) as one,
        GatewayClient(answering.url) as other,
    ):
        await _accepts_once(one, other, target)
        talking = await one.do("targets/talks/run")
        assert await _followed(answering.url, talking["id"]) == [f"line {number}" for number in range(1, 5)]
        deaf = await other.do("targets/deaf/run")
        await other.wait_for(deaf["id"], "running")
        await other.do(f"runs/{deaf['id']}/cancel")
        await other.wait_for(deaf["id"], "cancelled")


async def _accepts_once(one: GatewayClient, other: GatewayClient, target: TargetServer) -> None:
    for number in range(10):
        first, again = [await node.send({"id": f"{number}", "type": "sent"}) for node in (one, other)]
        assert (first.json["duplicate"], again.json["duplicate"]) == (False, True)

    async def called() -> set[str]:
        return {call.json["id"] for call in target.calls}

    await until(called, {"tick", *map(str, range(10))}, "who is called")


async def _followed(url: str, run_id: str) -> list[str]:
    """What a run says until its end."""
    path = f"{url}/api/v1/runs/{run_id}/log?follow=1"
    async with aiohttp.ClientSession() as session, session.get(path) as stream:
        logs = [event.data async for event in sent(stream) if event.name == "log"]
    return [line for log in logs for line in log.split("\n") if line.startswith("line")]


async def test_l08_a_pooler_that_nobody_told_of_is_recognised_at_the_start(
    tmp_path: Path, target: TargetServer, pooled_url: str
) -> None:
    [node] = nodes_of(configuration(target, pooled_url), tmp_path)
    node.spawn()

    assert await node.wait() == 2
    [reason] = [line["reason"] for line in node.log_lines() if line["event"] == "gateway.cannot_start"]
    assert TELLS in reason


async def test_l08_and_later_by_the_statements_that_are_not_prepared_any_more(postgres_url: str) -> None:
    """As behind a pooler that lets the session's settings pass."""
    settings = DatabaseSettings.model_validate({"url": postgres_url})
    async with open_database(settings) as database:
        for statement in ("SELECT 1 + 1", "DEALLOCATE ALL"):
            async with database.read() as connection:
                await connection.execute(text(statement))
        with pytest.raises(Unavailable, match=TELLS):
            async with database.read() as connection:
                await connection.execute(text("SELECT 1 + 1"))
