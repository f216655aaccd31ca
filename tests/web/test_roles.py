"""Every route times everybody who might ask, from the table of routes itself: what nobody has allowed is refused."""

from collections.abc import AsyncIterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from gateway.core.access import Role
from gateway.web import metrics
from gateway.web.route import Route
from gateway.web.routes import API
from tests.web.conftest import SETTINGS
from tests.web.edges import ACCESS, TOKENS, Gateway, running

ROUTES = (*API, *metrics.ROUTES)
CHANGES = [route for route in ROUTES if route.method != "GET"]
LOOKS_ONLY = {("POST", "/api/v1/explain")}
ROLES = list(Role)
ASKING: dict[str, str | None] = {"nobody": None, "a stranger": "unknown", **TOKENS}
ELSEWHERE = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def path_of(route: Route, name: str = "nothing") -> str:
    return route.path.format(id="01a1ff49-0ea4-77ad-bb12-bb91902dd1bb", name=name)


def expected_of(who: str, route: Route) -> int | None:
    """How somebody is refused, or `None`."""
    if who not in TOKENS:
        return 401
    return 403 if ROLES.index(Role(who)) < ROLES.index(route.role) else None


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path, SETTINGS | {"access": ACCESS}) as gateway:
        gateway.edge.health.stopping = True  # so that what would go on for ever ends
        yield gateway


def test_no_route_can_be_declared_without_a_role() -> None:
    [role] = [field for field in fields(Route) if field.name == "role"]

    assert role.default is role.default_factory is MISSING
    assert all(isinstance(route.role, Role) for route in ROUTES)


def test_whoever_changes_something_is_at_least_an_operator() -> None:
    assert {(route.method, route.path) for route in CHANGES if route.role is Role.VIEWER} == LOOKS_ONLY


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
async def test_s13_a_route_answers_those_who_have_its_role(guarded: Gateway, route: Route) -> None:
    """A refusal comes before anything is looked up, and before the body is looked at."""
    options: dict[str, Any] = {"data": b"no json", "headers": FORM} if route.method in ("POST", "PUT") else {}

    for who, token in ASKING.items():
        status = (await guarded.ask(route.method, path_of(route), token=token, **options)).status
        refusal = expected_of(who, route)
        assert status == refusal if refusal else status in {200, 404, 415}, who


@pytest.mark.parametrize("route", [route for route in ROUTES if route.method == "GET"], ids=name_of)
async def test_s13_to_ask_for_the_head_alone_takes_the_same_role(guarded: Gateway, route: Route) -> None:
    heads = [await guarded.ask("HEAD", path_of(route), token=token) for token in ASKING.values()]
    whole = [await guarded.get(path_of(route), token=token) for token in ASKING.values()]

    assert [head.status for head in heads] == [one.status for one in whole]
    assert {head.body for head in heads} == {b""}
    assert [head.headers["Content-Type"] for head in heads] == [one.headers["Content-Type"] for one in whole]


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES}))
async def test_s13_other_methods_are_told_which_there_are_once_the_caller_is_known(guarded: Gateway, path: str) -> None:
    path_asked = path.format(id="x", name="x")
    there = {route.method for route in ROUTES if route.path == path}
    allowed = there | ({"HEAD"} if "GET" in there else set())

    for method in {"PATCH", "OPTIONS", "TRACE", "GET", "POST", "PUT", "DELETE", "PURGE"} - allowed:
        assert (await guarded.ask(method, path_asked)).status == 401
        answer = await guarded.ask(method, path_asked, token=TOKENS["viewer"])
        assert (answer.status, set(answer.headers["Allow"].split(", "))) == (405, allowed)


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1", "/api/v1/nothing", "/api/v2/runs", "/api/v1/runs/"])
async def test_s13_what_no_route_leads_to_is_refused_before_it_is_not_found(guarded: Gateway, path: str) -> None:
    assert (await guarded.get(path)).status == 401
    assert (await guarded.get(path, token=TOKENS["viewer"])).status == 404


@pytest.mark.parametrize("route", CHANGES, ids=name_of)
async def test_s12_no_page_of_another_site_changes_anything(gateway: Gateway, route: Route) -> None:
    """Where no token is needed: a browser says where the page is from, and the body must not be a form's."""
    for headers in ELSEWHERE:
        assert (await gateway.ask(route.method, path_of(route, "sync"), headers=headers)).status == 403

    if route.method != "DELETE":  # to which browsers ask before they send it
        answer = await gateway.ask(route.method, path_of(route, "sync"), data=b"a=1", headers=FORM)
        assert answer.status in {404, 415}


@pytest.mark.parametrize("route", [route for route in ROUTES if "{" in route.path], ids=name_of)
async def test_s14_names_and_ids_lead_nowhere_else(gateway: Gateway, route: Route) -> None:
    for name in ("..%2f..%2fx", "%2e%2e%2fx", "..%5cx", "x%00", "x%0d%0aX:%20y", "%ff", 200 * "x"):
        path = route.path.format(id=name, name=name)
        head = f"{route.method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        assert (await gateway.raw(head.encode())).startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 422 ", b"HTTP/1.1 400 "))
