"""The real gateway as a child process, for tests that kill, stop and restart it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import aiohttp
import orjson
import yaml

from tests.servers.child import kill_family
from tests.servers.ports import free_port


class GatewayProcess:
    """Runs `gateway serve` in a folder of its own; start() after an end starts it again on the same port and data.

    The log of all its lives is in one file. As a context manager it is started at once and killed at the end.
    `program` is the module to run, with arguments that go before `serve`.
    """

    def __init__(
        self,
        config: Mapping[str, Any] | str,
        folder: Path,
        env: Mapping[str, str] | None = None,
        args: Sequence[str] = (),
        *,
        program: Sequence[str] = ("gateway",),
    ) -> None:
        settings = dict(yaml.safe_load(config) if isinstance(config, str) else config)
        server = {"port": free_port(), **settings.get("server", {})}
        folder.mkdir(parents=True, exist_ok=True)
        self.port: int = server["port"]
        self.url = f"http://127.0.0.1:{self.port}"
        self.config_path = folder / "config.yaml"
        self.config_path.write_text(yaml.safe_dump({**settings, "server": server}))
        self.log_path = folder / "gateway.log"
        self._folder = folder
        self._environment = {**_environment_without_settings(), **(env or {})}
        self._argv = [sys.executable, "-m", *program, "serve", "-c", str(self.config_path), *args]
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        try:
            return await self.start()
        except BaseException:
            self._clean_up()
            raise

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._clean_up()
        if error:
            error.add_note(f"{self.log_path}:\n{self.log_tail()}")

    @property
    def pid(self) -> int:
        return self._started_process().pid

    async def start(self, *, seconds: float = 20) -> Self:
        self.spawn()
        await self.wait_until_ready(seconds=seconds)
        return self

    def spawn(self) -> None:
        """Start it without waiting, for a gateway that is expected to refuse."""
        if self._process is not None and self._process.poll() is None:
            raise RuntimeError("The gateway is running already.")
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    async def wait_until_ready(self, *, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while not await self._is_ready(session):
                if (exit_code := self._started_process().poll()) is not None:
                    raise RuntimeError(f"The gateway ended with {exit_code}:\n{self.log_tail()}")
                if time.monotonic() > deadline:
                    raise RuntimeError(f"The gateway was not ready within {seconds} s:\n{self.log_tail()}")
                await asyncio.sleep(0.05)

    async def wait(self, *, seconds: float = 20) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        return await asyncio.to_thread(self._started_process().wait, seconds)

    async def terminate(self, *, seconds: float = 60) -> int:
        """Ask it to shut down in order, and return its exit code."""
        self.send(signal.SIGTERM)
        return await self.wait(seconds=seconds)

    def kill(self) -> None:
        """SIGKILL to the gateway alone: what becomes of its commands is for the gateway to take care of."""
        process = self._started_process()
        process.kill()
        process.wait()

    def stop(self) -> None:
        """Freeze it, as a machine that hangs; cont() lets it go on."""
        self.send(signal.SIGSTOP)

    def cont(self) -> None:
        self.send(signal.SIGCONT)

    def send(self, sign: signal.Signals) -> None:
        self._started_process().send_signal(sign)

    def log_lines(self) -> list[dict[str, Any]]:
        """All that it has logged; lines that are not JSON (a traceback at the start) are in log_tail() only."""
        lines = self.log_path.read_bytes().splitlines() if self.log_path.exists() else []
        return [orjson.loads(line) for line in lines if line.startswith(b"{") and line.endswith(b"}")]

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self.url}/readyz") as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _clean_up(self) -> None:
        if self._process is not None:
            kill_family(self._process)

    def _started_process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("The gateway was not started.")
        return self._process


def _environment_without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
