"""Certificates of targets."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway.core.outcome import Outcome, RetryableFailure, Succeeded
from tests.servers.certificate import new_certificate
from tests.targets.calling import outcome_of


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    return new_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def url(certificate: tuple[Path, Path]) -> AsyncIterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)

    async def answer(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("tls", "kind"),
    [
        (lambda _: {}, RetryableFailure),
        (lambda _: {"verify": True}, RetryableFailure),
        (lambda ca: {"ca": str(ca)}, Succeeded),
        (lambda _: {"verify": False}, Succeeded),
    ],
    ids=["by default", "verify", "ca", "no verify"],
)
async def test_a_certificate_is_checked_as_configured(
    url: str, certificate: tuple[Path, Path], tls: Any, kind: type[Outcome]
) -> None:
    outcome = await outcome_of(url=url, tls=tls(certificate[0]))

    assert type(outcome) is kind
    if isinstance(outcome, RetryableFailure):
        assert not outcome.reached
        assert "certificate" in str(outcome.reason)


async def test_the_name_in_the_certificate_must_be_right(url: str, certificate: tuple[Path, Path]) -> None:
    outcome = await outcome_of(url=url.replace("127.0.0.1", "localhost"), tls={"ca": str(certificate[0])})

    assert isinstance(outcome, RetryableFailure)
