"""Who may use the API: every route times every role, from the table of routes itself."""

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gateway.core.access import Role
from gateway.core.ids import new_id
from gateway.web.route import Route
from gateway.web.routes import API
from tests.web.conftest import SETTINGS
from tests.web.edges import ACCESS, TOKENS, Gateway, running

ROLES = list(Role)


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Gateway]:
    """With a token for each role."""
    async with running(tmp_path, SETTINGS | {"access": ACCESS}) as gateway:
        yield gateway


def _path(route: Route) -> str:
    return route.path.format(id=new_id(), name="nothing")


def test_every_route_has_a_role_and_a_path_of_its_own() -> None:
    assert all(isinstance(route.role, Role) for route in API)
    assert len({(route.method, route.path) for route in API}) == len(API)


def test_whoever_changes_something_is_at_least_an_operator() -> None:
    looks_only = {("POST", "/api/v1/explain")}

    assert all(
        route.role is not Role.VIEWER
        for route in API
        if route.method != "GET" and (route.method, route.path) not in looks_only
    )


@pytest.mark.parametrize("route", API, ids=lambda route: f"{route.method} {route.path}")
async def test_s13_a_route_answers_those_who_have_its_role(guarded: Gateway, route: Route) -> None:
    """A refusal comes before anything is looked up, and before the body is looked at."""
    options: dict[str, Any] = (
        {"data": b"no json", "headers": {"Content-Type": "text/plain"}} if route.method == "POST" else {}
    )

    anonymous = await guarded.ask(route.method, _path(route), **options)
    unknown = await guarded.ask(route.method, _path(route), token="unknown", **options)
    statuses = [(await guarded.ask(route.method, _path(route), token=TOKENS[role], **options)).status for role in ROLES]

    assert (anonymous.status, unknown.status) == (401, 401)
    assert anonymous.headers["WWW-Authenticate"] == "Bearer"
    for role, status in zip(ROLES, statuses, strict=True):
        assert (status == 403) == (ROLES.index(role) < ROLES.index(route.role))
        assert status != 401
    assert statuses[-1] in {200, 404, 415}
    assert all(before in {after, 403} for before, after in pairwise(statuses))


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1", "/api/v1/nothing", "/api/v2/runs", "/api/v1/runs/"])
async def test_s13_what_no_route_leads_to_is_refused_before_it_is_not_found(guarded: Gateway, path: str) -> None:
    assert (await guarded.get(path)).status == 401
    assert (await guarded.get(path, token=TOKENS["viewer"])).status == 404


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


async def test_s12_a_body_says_that_it_is_json(gateway: Gateway) -> None:
    """What a form can send without asking is refused."""
    for content_type in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", ""):
        answer = await gateway.post("/api/v1/targets/sync/run", data=b"{}", headers={"Content-Type": content_type})
        assert answer.status == 415

    charset = {"Content-Type": "application/json; charset=utf-8"}
    assert (await gateway.post("/api/v1/targets/sync/run", data=b"{}", headers=charset)).status == 202
