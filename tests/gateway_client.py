"""A gateway as its senders and operators see it: over HTTP."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any, Self

import aiohttp
import orjson
from multidict import CIMultiDictProxy

from tests.waiting import until


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def run_ids(self) -> list[str]:
        """The runs that an accepted event led to."""
        return [decision["run_id"] for decision in self.json["decisions"] if decision["run_id"]]


class GatewayClient:
    """Talks to one node. Whatever that answers is returned; that it does not answer is raised."""

    def __init__(self, url: str, *, seconds: float = 15) -> None:
        self._url = url
        self._seconds = seconds

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            self._url, timeout=aiohttp.ClientTimeout(total=self._seconds), connector=aiohttp.TCPConnector(limit=0)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(self, event: dict[str, Any] | bytes, *, path: str = "/hooks/hook", **headers: str) -> Reply:
        """Posts what a sender would."""
        body = event if isinstance(event, bytes) else orjson.dumps(event)
        return await self.request("POST", path, data=BytesIO(body), headers=headers)

    async def request(self, method: str, path: str, **arguments: Any) -> Reply:
        async with self._session.request(method, path, **arguments) as response:
            return Reply(response.status, response.headers, await response.read())

    async def get(self, path: str, **query: str | int) -> Any:
        """What the API shows there. Raises where that is not 200."""
        reply = await self.request("GET", f"/api/v1/{path}", params=query)
        assert reply.status == 200, reply
        return reply.json

    async def do(self, path: str, **body: Any) -> Any:
        """An action of the API. Raises where it is refused."""
        reply = await self.request("POST", f"/api/v1/{path}", json=body)
        assert reply.status in (200, 202), reply
        return reply.json

    async def runs(self, **filters: str) -> list[dict[str, Any]]:
        """All of them, newest first."""
        page = await self.get("runs", limit=1000, **filters)
        items: list[dict[str, Any]] = page["items"]
        while page["next"]:
            page = await self.get("runs", limit=1000, cursor=page["next"], **filters)
            items += page["items"]
        return items

    async def run(self, run_id: str) -> dict[str, Any]:
        run: dict[str, Any] = await self.get(f"runs/{run_id}")
        return run

    async def wait_until_idle(self, *, seconds: float = 20) -> None:
        """Until every run is final."""

        async def unfinished() -> int:
            targets = (await self.get("targets"))["items"]
            return sum(target["running"] + target["waiting"] for target in targets)

        await until(unfinished, 0, "unfinished runs", seconds=seconds)

    async def wait_for(self, run_id: str, state: str, *, seconds: float = 20) -> dict[str, Any]:
        """The run, once it is in this state."""

        async def seen() -> str:
            return str((await self.run(run_id))["state"])

        await until(seen, state, f"state of run {run_id}", seconds=seconds)
        return await self.run(run_id)
