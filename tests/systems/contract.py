"""How the presets are held against the systems they are for: by a real gateway that has them as its targets."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.gateway_client import GatewayClient
from tests.gateways import nodes_of, running

Run = dict[str, Any]
AT_ONCE: Mapping[str, Any] = {"delays": ["10ms"]}
"""Retries that follow at once, as many as the preset allows."""


@asynccontextmanager
async def gateway(folder: Path, **targets: Mapping[str, Any]) -> AsyncIterator[GatewayClient]:
    """One that has these targets and nothing else."""
    named = {name.replace("_", "-"): dict(settings) for name, settings in targets.items()}
    [node] = nodes_of({"database": {"url": "sqlite:///gateway.db"}, "targets": named}, folder)
    async with running(node), GatewayClient(node.url, seconds=30) as client:
        yield client


async def begin(client: GatewayClient, target: str, **payload: Any) -> str:
    """The id of a run that has been asked for."""
    return str((await client.do(f"targets/{target}/run", payload=payload))["id"])


async def finish(client: GatewayClient, target: str, **payload: Any) -> Run:
    """A run from its start to its end."""
    run = await client.do(f"targets/{target}/run?wait=20s", payload=payload)
    return await client.run(run["id"])


def outcomes(run: Run) -> list[str]:
    """What became of its attempts."""
    return [attempt["outcome"] for attempt in run["attempts"]]


def seconds_until_due(run: Run) -> float:
    """From the end of its last attempt to the next."""
    ended, due = run["attempts"][-1]["finished_at"], run["due_at"]
    return (datetime.fromisoformat(due) - datetime.fromisoformat(ended)).total_seconds()
