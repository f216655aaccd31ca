"""Who may use the API: tokens, and those who sit at this machine."""

from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.web.conftest import SETTINGS
from tests.web.edges import ACCESS, TOKENS, Gateway, running


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Gateway]:
    """With a token for each role."""
    async with running(tmp_path, SETTINGS | {"access": ACCESS}) as gateway:
        yield gateway


async def test_another_method_is_told_which_ones_there_are(guarded: Gateway) -> None:
    answer = await guarded.ask("DELETE", "/api/v1/runs", token=TOKENS["viewer"])

    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert (await guarded.ask("OPTIONS", "/api/v1/runs")).status == 401
    assert (await guarded.ask("HEAD", "/api/v1/runs", token=TOKENS["viewer"])).status == 200


@pytest.mark.parametrize(
    "header",
    [
        *("", "Bearer", "Bearer ", f"Basic {TOKENS['admin']}", TOKENS["admin"], f"Bearer {TOKENS['admin']}x"),
        *("Bearer \udc80\udcff", f"Bearer {TOKENS['admin']} x", "Bearer " + "x" * 8000),
    ],
)
async def test_what_is_no_known_token_is_refused(guarded: Gateway, header: str) -> None:
    line = b"Authorization: " + header.encode("utf-8", "surrogateescape")

    answer = await guarded.raw(b"GET /api/v1/status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + line + b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_a_token_known_by_its_hash_is_as_good_as_any(tmp_path: Path) -> None:
    hashed = {"name": "hashed", "role": "viewer", "token_sha256": sha256(b"secret").hexdigest()}
    async with running(tmp_path, SETTINGS | {"access": {"tokens": [*ACCESS["tokens"], hashed]}}) as gateway:
        tokens = ("secret", TOKENS["admin"], "Secret", hashed["token_sha256"])
        statuses = [(await gateway.get("/api/v1/runs", token=token)).status for token in tokens]

    assert statuses == [200, 200, 401, 401]


async def test_probes_and_hooks_need_no_token(guarded: Gateway) -> None:
    assert (await guarded.get("/healthz")).status == 200
    assert (await guarded.get("/readyz")).status == 200
    assert (await guarded.post("/hooks/alarms", json={})).status == 202


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "192.0.2.1"},
        {"Forwarded": "for=192.0.2.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"Host": "evil.example"},
        {"Host": "evil.example:8080"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost@evil.example"},
        {"Host": "[::2]"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
async def test_s12_without_tokens_only_who_sits_at_this_machine_is_answered(
    gateway: Gateway, headers: dict[str, str]
) -> None:
    """Neither a proxy that asks for others, nor a page in a browser here that another site made."""
    answer = await gateway.post("/api/v1/targets/sync/run", json={}, headers=headers)

    assert answer.status == 403
    assert (await gateway.get("/api/v1/runs")).json["items"] == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "[::1]:8080", "127.1.2.3"])
async def test_without_tokens_this_machine_may_do_everything(gateway: Gateway, host: str) -> None:
    own = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}

    assert (await gateway.post("/api/v1/targets/sync/run", json={}, headers=own)).status == 202


async def test_s12_a_page_of_another_site_cannot_use_a_token_either(guarded: Gateway) -> None:
    answer = await guarded.get("/api/v1/runs", token=TOKENS["admin"], headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status == 403


async def test_of_what_is_done_it_is_said_who_did_it_and_from_where(tmp_path: Path) -> None:
    behind_proxy = SETTINGS | {"access": ACCESS, "server": {"trusted_proxies": ["127.0.0.1/32"]}}
    with capture_logs() as logs:
        async with running(tmp_path, behind_proxy) as gateway:
            headers = {"X-Forwarded-For": "198.51.100.1, 192.0.2.7"}
            await gateway.post("/api/v1/targets/sync/pause", token=TOKENS["operator"], headers=headers)

    [done] = [line for line in logs if line["event"] == "api.done"]
    assert (done["by"], done["remote"], done["status"]) == ("the-operator", "192.0.2.7", 200)


async def test_s12_a_body_says_that_it_is_json(gateway: Gateway) -> None:
    """What a form can send without asking is refused."""
    for content_type in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", ""):
        answer = await gateway.post("/api/v1/targets/sync/run", data=b"{}", headers={"Content-Type": content_type})
        assert answer.status == 415

    charset = {"Content-Type": "application/json; charset=utf-8"}
    assert (await gateway.post("/api/v1/targets/sync/run", data=b"{}", headers=charset)).status == 202
