"""The programs of a benchmark, each on its core, ended with the block that started it."""

import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.gateway_process import GatewayProcess
from tests.servers.child import ChildProcess
from tests.servers.ports import free_port

MEASURED_CORE, *_, LOADING_CORE = sorted(os.sched_getaffinity(0)) * 2
"""One core for what is measured, the other for what loads it and for what it calls."""


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Processes that are started in this block stay on that core, with all their threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def bare(program: str, core: int, *arguments: int) -> Iterator[int]:
    """One of the programs of `bare.py`; its port."""
    port = free_port()
    argv = [sys.executable, str(Path(__file__).with_name("bare.py")), program, *map(str, (port, *arguments))]
    with TemporaryDirectory() as folder:
        child = ChildProcess(argv, folder=Path(folder))
        with on_core(core):
            child.start(lambda: _listens(port))
        try:
            yield port
        finally:
            child.kill()


@asynccontextmanager
async def gateway(config: dict[str, Any], folder: Path, profile: Path | None = None) -> AsyncIterator[GatewayProcess]:
    """A gateway that is ready; with a file for it, profiled, which makes it some three times slower."""
    process = GatewayProcess(config, folder)
    if profile:
        process._argv[1:1] = ["-m", "cProfile", "-o", str(profile)]
    async with AsyncExitStack() as stack:
        with on_core(MEASURED_CORE):
            await stack.enter_async_context(process)
        yield process
        await process.terminate()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
