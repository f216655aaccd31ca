"""The reference page, in a real browser."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.browser import Browser, browsing
from tests.waiting import until
from tests.web.conftest import SETTINGS
from tests.web.edges import ACCESS, TOKENS, Gateway, running

SECTIONS = "[...document.querySelectorAll('section')].filter(one => !one.hidden).map(one => one.id).join(' ')"
FILES = ("/reference", "/reference/reference.css", "/reference/reference.js")

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path, SETTINGS | {"access": ACCESS}) as gateway:
        yield gateway


@pytest.mark.parametrize("path", FILES)
async def test_s11_a_page_may_load_nothing_from_elsewhere_and_run_nothing_inline(guarded: Gateway, path: str) -> None:
    answer = await guarded.get(path)
    policy = dict(rule.split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split("; "))

    assert answer.status == 200
    assert (policy["default-src"], policy["script-src"], policy["style-src"]) == ("'none'", "'self'", "'self'")
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert b"http://" not in answer.body
    assert b"https://" not in answer.body
    assert b"innerHTML" not in answer.body
    assert (await guarded.ask("HEAD", path)).body == b""
    assert (await guarded.post(path)).status == 405


async def test_whoever_knows_the_address_alone_is_led_to_it(guarded: Gateway) -> None:
    """From behind a proxy, too, which may serve all of this below a path of its own."""
    answer = await guarded.get("/", allow_redirects=False)

    assert (answer.status, answer.headers["Location"]) == (302, "reference")
    assert (await guarded.get("/")).body == (await guarded.get("/reference")).body
    assert (await guarded.post("/")).status == 405


@pytest.mark.parametrize(
    "path",
    [
        *("/reference/", "/reference/reference.html", "/reference/../reference.py", "/reference/%2e%2e/reference.py"),
        *("/reference/..%2freference.py", "/reference//etc/passwd", "/reference/reference.js%00", "/static/"),
        *("/reference/....//reference.py", "/reference/..%5creference.py", "/reference/reference.css/../../route.py"),
    ],
)
async def test_s14_no_path_leads_to_another_file(gateway: Gateway, path: str) -> None:
    answer = await gateway.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())

    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 "))


@pytest.mark.browser
async def test_it_shows_every_operation_and_finds_words(gateway: Gateway) -> None:
    paths = (await gateway.get("/openapi.json")).json["paths"]
    operations = {one["operationId"] for methods in paths.values() for one in methods.values()}
    async with browsing() as browser:
        await browser.open(f"{gateway.url}/reference")
        await until(lambda: _shown(browser), operations, "all operations")

        await browser.evaluate("search.value = 'pause schedules'; search.dispatchEvent(new Event('input'))")
        found = await _shown(browser)
        text = await browser.evaluate("document.getElementById('post-schedules-name-pause').textContent")

    assert "post-schedules-name-pause" in found
    assert "post-reload" not in found
    assert "operator" in text
    assert "No more ticks" in text
    assert browser.complaints == []
    assert all(url.startswith((gateway.url, "data:,")) for url in browser.requested)
    assert {url.removeprefix(gateway.url) for url in browser.requested} >= {*FILES, "/openapi.json"}


@pytest.mark.browser
async def test_it_asks_for_a_token_where_there_are_some(guarded: Gateway) -> None:
    async with browsing() as browser:
        await browser.open(f"{guarded.url}/reference")
        await until(lambda: browser.evaluate("!login.hidden"), expected=True, what="the form")
        assert await _shown(browser) == {""}

        await _log_in(browser, "wrong")
        await until(lambda: browser.evaluate("login.querySelector('output').value"), "this token is not known", "why")

        await _log_in(browser, TOKENS["viewer"])
        await until(lambda: browser.evaluate("login.hidden"), expected=True, what="the reference")
        assert "get-runs" in await _shown(browser)


async def _shown(browser: Browser) -> set[str]:
    return set(str(await browser.evaluate(SECTIONS)).split(" "))


async def _log_in(browser: Browser, token: str) -> None:
    await browser.evaluate(f"login.elements.token.value = '{token}'; login.requestSubmit()")
