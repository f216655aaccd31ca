"""Listening and ending."""

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.runtime.settings import Listener, Server
from gateway.runtime.snapshot import Current
from gateway.web.server import serving
from tests.servers.certificate import new_certificate
from tests.web.edges import OPEN, running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    return new_certificate(tmp_path_factory.mktemp("tls"))


async def test_it_speaks_tls_with_its_certificate(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    server = {"tls": {"cert": str(cert), "key": str(key)}}
    trusting = ssl.create_default_context(cafile=cert)
    async with running(tmp_path, {"server": server, "sources": {"alarms": OPEN}}) as gateway:
        assert gateway.url.startswith("https://127.0.0.1:")
        assert (await gateway.post("/hooks/alarms", json={}, ssl=trusting)).status == 202
        with pytest.raises(aiohttp.ClientError):
            await gateway.session.get(gateway.url.replace("https", "http") + "/healthz")


async def test_both_addresses_speak_tls(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    server = {"tls": {"cert": str(cert), "key": str(key)}, "admin": {"port": 0}}
    trusting = ssl.create_default_context(cafile=cert)
    async with running(tmp_path, {"server": server, "sources": {"alarms": OPEN}}) as gateway:
        for url in (gateway.url, gateway.api_url):
            async with gateway.session.get(f"{url}/healthz", ssl=trusting) as response:
                assert (response.status, response.url.scheme) == (200, "https")


async def test_an_address_that_is_taken_takes_the_other_one_down_with_it(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        settings = gateway.edge.current.snapshot
        taken = Server(port=0, admin=Listener(port=gateway.port))
        with pytest.raises(OSError, match="in use"):
            await serving(replace(gateway.edge, current=Current(replace(settings, server=taken)))).__aenter__()


async def test_requests_in_progress_are_answered_before_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()
    async with aiohttp.ClientSession() as session:
        async with running(tmp_path) as gateway:
            commit = gateway.edge.database.commit

            async def slow_commit(transaction: Any, request: Any) -> Any:
                begun.set()
                await asyncio.sleep(0.1)
                return await commit(transaction, request)

            monkeypatch.setattr(gateway.edge.database, "commit", slow_commit)
            posting = asyncio.create_task(_post(session, f"{gateway.url}/hooks/alarms"))
            await begun.wait()

        assert await posting == 202
        with pytest.raises(aiohttp.ClientConnectionError):
            await _post(session, f"{gateway.url}/hooks/alarms")


async def _post(session: aiohttp.ClientSession, url: str) -> int:
    async with session.post(url, json={}) as response:
        return response.status


async def test_two_gateways_cannot_have_one_port(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        same_port = Current(replace(gateway.edge.current.snapshot, server=Server(port=gateway.port)))
        with pytest.raises(OSError, match="in use"):
            await serving(replace(gateway.edge, current=same_port)).__aenter__()
