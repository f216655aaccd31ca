"""A real browser without a screen, told what to do over its debugging protocol."""

import itertools
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.servers import install
from tests.servers.child import kill_family
from tests.waiting import until

_OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0")


class Browser:
    """One page: what it asked for, what it complained about, and what it can be made to say."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.requested: list[str] = []
        self.complaints: list[str] = []

    async def open(self, url: str) -> None:
        for domain in ("Page", "Network", "Log", "Runtime"):
            await self._do(f"{domain}.enable")
        await self._do("Page.navigate", url=url)
        await until(lambda: self.evaluate("document.readyState"), "complete", "the page")

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        answer = await self._do("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def _do(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while (message := await self._socket.receive_json(timeout=20)).get("id") != number:
            self._note(message)
        assert "error" not in message, message
        result: dict[str, Any] = message["result"]
        return result

    def _note(self, message: dict[str, Any]) -> None:
        match message:
            case {"method": "Network.requestWillBeSent", "params": {"request": {"url": url}}}:
                self.requested.append(url)
            case {"method": "Log.entryAdded", "params": {"entry": {"level": "warning" | "error", "text": text}}}:
                self.complaints.append(text)
            case {"method": "Runtime.exceptionThrown", "params": {"exceptionDetails": details}}:
                self.complaints.append(str(details))


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as folder, _started(folder):
        port = await _port(Path(folder))
        async with aiohttp.ClientSession() as session:
            async with session.put(f"http://127.0.0.1:{port}/json/new") as response:
                page = await response.json()
            async with session.ws_connect(page["webSocketDebuggerUrl"]) as socket:
                yield Browser(socket)


@contextmanager
def _started(folder: str) -> Iterator[None]:
    process = subprocess.Popen(
        [install.chromium(), *_OPTIONS, f"--user-data-dir={folder}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        kill_family(process)


async def _port(folder: Path) -> int:
    announced = folder / "DevToolsActivePort"

    async def is_there() -> bool:
        return announced.exists() and "\n" in announced.read_text()

    await until(is_there, expected=True, what="the browser", seconds=60)
    return int(announced.read_text().splitlines()[0])
