"""What the other tests rely on when they call a target of theirs."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.target_answer import Answer
from tests.target_server import TargetServer


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_it_remembers_its_calls(client: aiohttp.ClientSession) -> None:
    async with TargetServer(Answer.of_json({"ok": True}, status=201)) as target:
        headers = {"Idempotency-Key": "run", "X-Gateway-Attempt": "2"}
        async with client.put(f"{target.url}/sync?site=ams", json={"a": 1}, headers=headers) as response:
            assert (response.status, await response.json()) == (201, {"ok": True})

        [call] = await target.wait_for_calls(1)
        assert (call.method, call.path, call.json) == ("PUT", "/sync?site=ams", {"a": 1})
        assert (call.idempotency_key, call.attempt) == ("run", 2)


async def test_it_follows_its_script_first(client: aiohttp.ClientSession) -> None:
    async with TargetServer(lambda call: Answer(body=call.body)) as target:
        target.script.extend([Answer(status=503, headers={"Retry-After": "7"}), Answer(status=429)])

        statuses = []
        for _ in range(3):
            async with client.post(target.url, data=b"hello") as response:
                statuses.append(response.status)

        assert statuses == [503, 429, 200]


@pytest.mark.parametrize("body", [b"", b"half", (b"first", 0.05, b"second", 0.05)])
async def test_it_breaks_a_connection(client: aiohttp.ClientSession, body: bytes | tuple[bytes | float, ...]) -> None:
    async with TargetServer(Answer(body=body, reset=True)) as target:
        with pytest.raises((aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)):
            await _read(client, target.url)


async def _read(client: aiohttp.ClientSession, url: str) -> bytes:
    async with client.get(url) as response:
        return await response.read()


async def test_it_streams_a_body_in_its_parts(client: aiohttp.ClientSession) -> None:
    async with (
        TargetServer(Answer(body=(b"first", 0.05, b"second"))) as target,
        client.get(target.url) as response,
    ):
        assert await response.content.readany() == b"first"
        assert await response.read() == b"second"


async def test_it_counts_overlapping_calls_by_key(client: aiohttp.ClientSession) -> None:
    async with TargetServer(Answer(delay=0.1), key=lambda call: call.headers["X-Site"]) as target:
        calls = [client.get(target.url, headers={"X-Site": site}) for site in ("ams", "ams", "fra")]
        for response in await asyncio.gather(*calls):
            response.release()

        assert target.max_running == 3
        assert target.max_running_by_key == {"ams": 2, "fra": 1}
        assert target.running == 0


async def test_a_call_given_up_by_its_caller_has_ended(client: aiohttp.ClientSession) -> None:
    async with TargetServer(Answer(delay=60)) as target:
        with pytest.raises(TimeoutError):
            await client.get(target.url, timeout=aiohttp.ClientTimeout(total=0.1))
        await asyncio.sleep(0.1)

        assert target.running == 0


async def test_it_comes_back_on_the_same_port(client: aiohttp.ClientSession) -> None:
    async with TargetServer() as target:
        await target.stop()
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.get(target.url)

        await target.start()
        async with client.get(target.url) as response:
            assert response.status == 200
