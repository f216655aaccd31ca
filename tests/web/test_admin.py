"""API and hooks on addresses of their own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.web import metrics
from gateway.web.reference import PAGES
from gateway.web.routes import API, PROBES
from tests.web.conftest import SETTINGS
from tests.web.edges import Gateway, running

FOR_PEOPLE = sorted({*PAGES, *(route.path for route in (*API, *metrics.ROUTES) if "{" not in route.path)})


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path, SETTINGS | {"server": {"admin": {"port": 0}}}) as one:
        yield one


async def status(gateway: Gateway, method: str, url: str) -> int:
    async with gateway.session.request(method, url, json={} if method == "POST" else None) as response:
        return response.status


async def test_there_are_two_addresses(gateway: Gateway) -> None:
    assert gateway.url != gateway.api_url


@pytest.mark.parametrize("path", FOR_PEOPLE)
async def test_what_is_for_people_is_on_one_of_them(gateway: Gateway, path: str) -> None:
    assert await status(gateway, "GET", gateway.api_url + path) in {200, 405}
    assert await status(gateway, "GET", gateway.url + path) == 404


async def test_hooks_are_on_the_other_one(gateway: Gateway) -> None:
    assert await status(gateway, "POST", f"{gateway.url}/hooks/alarms") == 202
    assert await status(gateway, "POST", f"{gateway.api_url}/hooks/alarms") == 404


@pytest.mark.parametrize("path", PROBES)
async def test_probes_are_on_both(gateway: Gateway, path: str) -> None:
    assert await status(gateway, "GET", gateway.url + path) == 200
    assert await status(gateway, "GET", gateway.api_url + path) == 200


async def test_without_another_address_everything_is_on_the_first(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        assert gateway.url == gateway.api_url
        assert await status(gateway, "GET", f"{gateway.url}/reference") == 200
