"""How commands end, and that nothing of them is left: real processes that do not want to."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import psutil
import pytest

from gateway.core.outcome import RetryableFailure, Succeeded
from gateway.targets import supervise
from gateway.targets.process import Order
from tests.targets.calling import Attempt, attempt, call, configured
from tests.targets.commands import ran, said_by
from tests.waiting import until


def alive(mark: str) -> list[int]:
    """Processes that have it among their arguments."""
    return [process.pid for process in psutil.process_iter(["cmdline"]) if mark in (process.info["cmdline"] or ())]


def mark_of(tmp_path: Path) -> str:
    """A number of seconds that no other test sleeps."""
    return f"31536000.{abs(hash(tmp_path))}"


LEAVING = {
    "in the background": "sleep {mark} &",
    "deaf to SIGTERM": "(trap '' TERM; sleep {mark}) &",
    "in a session of its own": "setsid sleep {mark} &",
    "as a daemon": "(setsid sh -c 'trap \"\" TERM HUP; sleep {mark}; :' >/dev/null 2>&1 &)",
}


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING.keys())
async def test_x04_nothing_is_left_behind(leave: str, tmp_path: Path) -> None:
    """Nor does a grand-child that holds the pipe keep the attempt from ending."""
    mark = mark_of(tmp_path)
    began = time.monotonic()

    assert await ran(argv=["sh", "-c", leave.format(mark=mark)]) == Succeeded(status=0)

    assert time.monotonic() - began < 5
    assert alive(mark) == []


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING.keys())
@pytest.mark.parametrize("trap", ["", "trap '' TERM;"])
async def test_x04_a_time_out_ends_grand_children_too(trap: str, leave: str, tmp_path: Path) -> None:
    mark = mark_of(tmp_path)
    began = time.monotonic()

    with pytest.raises(TimeoutError):
        async with configured(
            "command", argv=["sh", "-c", f"{trap} {leave}\nsleep 60".format(mark=mark)], grace="300ms"
        ).open() as target:
            await call(target, seconds=0.3)

    assert time.monotonic() - began < 3
    assert alive(mark) == []


async def cancelled(argv: Iterable[str], given: Attempt, *, grace: str, times: int = 1) -> float:
    """Cancels a command once it has said something; the seconds that its end took."""
    running = asyncio.create_task(ran(given, argv=list(argv), grace=grace))

    async def heard() -> bool:
        return len(given.lines) > 1

    await until(heard, True, "its first line")
    began = time.monotonic()
    for _ in range(times):
        running.cancel()
        await asyncio.sleep(0.05)
    with pytest.raises(asyncio.CancelledError):
        await running
    return time.monotonic() - began


async def test_told_to_end_it_may_end_well() -> None:
    """Also where it runs below a shell, which does not wait for it."""
    worker = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.2), print("bye"), sys.exit()))
print("begun", flush=True)
time.sleep(60)
"""
    given = attempt()

    took = await cancelled(["sh", "-c", f'{sys.executable} -c "$0"; :', worker], given, grace="10s")

    assert took < 5
    assert given.lines[-1] == "bye"


DEAF = ["sh", "-c", "trap '' TERM; echo begun; while :; do sleep 0.05; done"]


async def test_told_to_end_it_is_killed_after_its_grace() -> None:
    assert 0.5 < await cancelled(DEAF, attempt(), grace="500ms") < 3


async def test_told_twice_it_is_killed_at_once() -> None:
    assert await cancelled(DEAF, attempt(), grace="60s", times=2) < 3


async def test_without_time_left_it_is_killed_at_once() -> None:
    """What it does may be begun again elsewhere."""
    assert await cancelled(DEAF, attempt(at_once=True), grace="60s") < 3


async def test_cancelled_before_it_has_started_it_does_not_start(tmp_path: Path) -> None:
    for _ in range(5):
        running = asyncio.create_task(ran(argv=["sleep", mark_of(tmp_path)]))
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    assert alive(mark_of(tmp_path)) == []


async def test_it_dies_with_its_supervisor(tmp_path: Path) -> None:
    given = attempt()
    running = asyncio.create_task(ran(given, argv=["sh", "-c", f"echo begun; exec sleep {mark_of(tmp_path)}"]))

    async def started() -> int:
        return len(alive(mark_of(tmp_path)))

    await until(started, 1, "commands")
    [pid] = alive(mark_of(tmp_path))
    supervisor = psutil.Process(pid).parent()
    assert supervisor is not None
    supervisor.kill()

    assert await running == RetryableFailure(reason="was ended by SIGKILL", status=137)
    assert alive(mark_of(tmp_path)) == []


async def test_x04_a_gateway_that_dies_with_a_report_unread_leaves_nothing_behind(tmp_path: Path) -> None:
    """The system breaks such a connection instead of ending it."""
    mark = mark_of(tmp_path)
    ours, theirs = socket.socketpair()
    with theirs:
        supervisor = await asyncio.create_subprocess_exec(
            sys.executable, supervise.__file__, str(theirs.fileno()), pass_fds=[theirs.fileno()]
        )
    env = {"PATH": os.environ["PATH"]}
    with ours:
        ours.sendall(Order(argv=["sh", "-c", f"sleep {mark} &"], env=env, cwd=None, stdin=None).packed())
        assert await asyncio.to_thread(ours.recv, 64, socket.MSG_PEEK) == b"exited 0\n"
        assert len(alive(mark)) == 1

    assert await supervisor.wait() == 0
    assert alive(mark) == []


async def test_signals_to_everybody_end_the_command_but_not_its_supervisor() -> None:
    assert await said_by("trap 'echo told; exit' TERM; kill -TERM $PPID; sleep .1; echo here; kill $$") == [
        "here",
        "told",
    ]


async def test_many_at_once_do_not_mix_up() -> None:
    outcomes = await asyncio.gather(
        *(ran(argv=["sh", "-c", f"echo {number} > $GATEWAY_OUTPUT"]) for number in range(20))
    )

    assert [outcome.output for outcome in outcomes if isinstance(outcome, Succeeded)] == list(range(20))
