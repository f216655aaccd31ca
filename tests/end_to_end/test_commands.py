"""Commands on a real gateway: isolated from it and from each other, and gone when it has gone."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from gateway.core.log_tail import MAX_CHARACTERS, MAX_LINES
from tests.gateway_client import GatewayClient
from tests.gateway_process import GatewayProcess
from tests.gateways import ROOT, running
from tests.waiting import until

DEAF = "trap '' TERM; echo begun; (setsid sleep {mark} &); sleep {mark} & while :; do sleep 0.05; done"
MIB = 2**20


def node_of(folder: Path, *, server: dict[str, Any] | None = None, **command: Any) -> GatewayProcess:
    """One webhook, whose events each run the command with the event's body as payload."""
    config = {
        "server": server or {},
        "database": {"url": "sqlite:///gateway.db"},
        "sources": {"hook": {"kind": "webhook", "verify": {"scheme": "none"}, "event": {"type": "sent"}}},
        "targets": {"sync": {"kind": "command", **command}},
        "triggers": {"every": {"on": "hook", "target": "sync", "payload": "{{ event.data }}"}},
    }
    environment = {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder), "DB_PASSWORD": "hunter2"}
    return GatewayProcess(config, folder / "node", environment)


def mark_of(folder: Path) -> str:
    """A number of seconds that no other test sleeps."""
    return f"31536000.{abs(hash(folder))}"


async def sleeping(folder: Path, count: int) -> None:
    """Until so many processes sleep for this test."""

    async def seen() -> int:
        commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
        return sum(mark_of(folder) in command for command in commands)

    await until(seen, count, "sleeping processes", seconds=10)


async def send(client: GatewayClient, **body: Any) -> str:
    [run_id] = (await client.send(body)).run_ids
    return run_id


async def test_an_event_becomes_a_command_and_its_output(tmp_path: Path) -> None:
    """And of the gateway's environment it sees next to nothing."""
    script = 'env; cat > "$GATEWAY_OUTPUT"; echo "$1" "$GATEWAY_RUN_ID"'
    argv = ["sh", "-c", script, "sh", "{{ payload.site }}"]
    node = node_of(tmp_path, argv=argv, stdin="{{ payload | tojson }}", env={"SYNC_TOKEN": "{{ payload.site }}"})
    async with running(node), GatewayClient(node.url) as client:
        run_id = await send(client, site="ams")
        run = await client.wait_for(run_id, "succeeded")
        option = await client.wait_for(await send(client, site="--help"), "failed")

    [attempt] = run["attempts"]
    assert run["output"] == {"site": "ams"}
    assert attempt["status"] == 0
    assert f"ams {run_id}" in attempt["log"]
    assert "SYNC_TOKEN=ams" in attempt["log"]
    assert "hunter2" not in attempt["log"]
    assert option["reason"] == "template: argv[4]: '--help' would be an option; put `--` before it"


async def test_x04_killed_it_leaves_no_command_behind(tmp_path: Path) -> None:
    node = node_of(tmp_path, argv=["sh", "-c", DEAF.format(mark=mark_of(tmp_path))], grace="60s")
    async with running(node), GatewayClient(node.url) as client:
        await send(client)
        await sleeping(tmp_path, 2)
        gateway = psutil.Process(node.pid)
        family = gateway.children(recursive=True)

        node.kill()

        await sleeping(tmp_path, 0)
        _, alive = await asyncio.to_thread(psutil.wait_procs, family, 3)
        assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


async def test_x04_shut_down_it_ends_commands_within_their_grace(tmp_path: Path) -> None:
    argv = ["sh", "-c", DEAF.format(mark=mark_of(tmp_path))]
    node = node_of(tmp_path, argv=argv, grace="500ms", server={"shutdown_grace": "200ms"}, retry={"attempts": 1})
    async with running(node), GatewayClient(node.url) as client:
        run_id = await send(client)
        await sleeping(tmp_path, 2)

        asked = time.monotonic()
        assert await node.terminate() == 0
        assert 0.7 < time.monotonic() - asked < 4
        await sleeping(tmp_path, 0)

        await node.start()
        await sleeping(tmp_path, 2)
        run = await client.run(run_id)
        assert [attempt["outcome"] for attempt in run["attempts"]] == ["broken off"]


async def test_x04_cancelled_its_command_ends(tmp_path: Path) -> None:
    node = node_of(tmp_path, argv=["sh", "-c", DEAF.format(mark=mark_of(tmp_path))], grace="500ms")
    async with running(node), GatewayClient(node.url) as client:
        run_id = await send(client)
        await sleeping(tmp_path, 2)

        asked = time.monotonic()
        await client.do(f"runs/{run_id}/cancel")
        run = await client.wait_for(run_id, "cancelled")

        assert time.monotonic() - asked < 5
        assert run["attempts"][0]["log"].endswith("begun")
        await sleeping(tmp_path, 0)


async def test_x04_a_time_out_is_no_reason_not_to_start_others(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"retry": {"attempts": 1}, "breaker": {"failures": 1, "pause": "1h", "max_pause": "1h"}}
    node = node_of(tmp_path, argv=["{{ payload.program }}", "60"], timeout="300ms", **keys)
    async with running(node), GatewayClient(node.url) as client:
        for _ in range(2):
            late = await client.wait_for(await send(client, program="sleep"), "failed")
            assert late["reason"] == "timed out after 300ms; gave up after 1 attempts"

        await client.wait_for(await send(client, program="no-such-program"), "failed")
        waiting = await send(client, program="true")
        await asyncio.sleep(0.5)
        assert (await client.run(waiting))["state"] == "queued"


async def test_x04_a_flood_of_output_takes_little_memory(tmp_path: Path) -> None:
    node = node_of(
        tmp_path, argv=["sh", "-c", "yes 'a line as long as those of a sync' | head -c 300000000; echo; echo end"]
    )
    async with running(node), GatewayClient(node.url) as client:
        gateway = psutil.Process(node.pid)
        before = peak = gateway.memory_info().rss
        run_id = await send(client)
        while (run := await client.run(run_id))["state"] != "succeeded":
            peak = max(peak, gateway.memory_info().rss)
            await asyncio.sleep(0.05)

    log = run["attempts"][0]["log"]
    assert peak - before < 40 * MIB
    assert len(log) <= MAX_CHARACTERS
    assert len(log.splitlines()) == MAX_LINES
    assert log.splitlines()[-2] == "end"


async def test_p4_never_more_commands_at_once_than_allowed(tmp_path: Path) -> None:
    """Three at once, and one of each site."""
    written = tmp_path / "written"
    script = """
import os, sys, time
def tell(what):
    with open(sys.argv[1], "a") as file:
        file.write(f"{what} {sys.argv[2]}\\n")
tell("+")
time.sleep(0.25)
tell("-")
"""
    argv = [sys.executable, "-I", "-S", "-c", script, str(written), "{{ payload.site }}"]
    per_key = {"key": "{{ event.data.site }}"}
    node = node_of(tmp_path, argv=argv, concurrency=3, per_key=per_key)
    async with running(node), GatewayClient(node.url) as client:
        for number in range(20):
            await send(client, site=number % 4, number=number)
        await client.wait_until_idle()

    now: list[str] = []
    most = 0
    for line in written.read_text().splitlines():
        sign, site = line.split()
        if sign == "+":
            assert site not in now
            now.append(site)
        else:
            now.remove(site)
        most = max(most, len(now))
    assert (most, len(written.read_text().splitlines())) == (3, 40)
