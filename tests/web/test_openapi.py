"""The description of the API: all of it is there, and it says of each route what that says of itself."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.core.access import Role
from gateway.core.errors import Conflict
from gateway.web import metrics
from gateway.web.openapi import describe
from gateway.web.parameters import Model
from gateway.web.route import Media, Route
from gateway.web.routes import API, PROBES
from tests.web.edges import Gateway

ROUTES = (*API, *metrics.ROUTES)
DESCRIPTION = describe(ROUTES, PROBES)
ALWAYS = {"401", "403", "503"}


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def operation_of(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = DESCRIPTION["paths"][route.path][route.method.lower()]
    return operation


def references_in(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from references_in(child)
    elif isinstance(node, list):
        for child in node:
            yield from references_in(child)


async def test_it_is_served_as_it_is_made(gateway: Gateway) -> None:
    assert (await gateway.get("/openapi.json")).json == DESCRIPTION


def test_it_has_every_path_and_nothing_else() -> None:
    described = {(method.upper(), path) for path, methods in DESCRIPTION["paths"].items() for method in methods}
    probes = {("GET", path) for path in PROBES}

    assert described == {(route.method, route.path) for route in ROUTES} | probes | {("POST", "/hooks/{name}")}


def test_whatever_it_refers_to_is_there() -> None:
    there = {f"#/components/schemas/{name}" for name in DESCRIPTION["components"]["schemas"]}

    assert set(references_in(DESCRIPTION)) == there


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [one["operationId"] for methods in DESCRIPTION["paths"].values() for one in methods.values()]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z.-]*", name) for name in names)


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_a_route_says_what_it_is_for_what_it_answers_and_who_may_ask(route: Route) -> None:
    """Its handler has a docstring, and the route the types of its replies."""
    operation = operation_of(route)
    success = {status for status in operation["responses"] if status < "400"}

    assert operation["summary"]
    assert operation["security"] == [{"token": [route.role]}]
    assert success == {str(status) for status in route.replies} != set()
    assert operation["responses"].keys() >= ALWAYS
    for status, response in operation["responses"].items():
        assert [*response.get("content", {})] == ["application/problem+json"] or status in success


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body], ids=name_of)
def test_the_example_of_a_body_can_be_read(route: Route) -> None:
    assert route.body is not None
    reference = operation_of(route)["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    examples = DESCRIPTION["components"]["schemas"][reference.rpartition("/")[2]].get("examples", [])

    assert bool(examples) == bool(route.body.model_fields)
    for example in examples:
        route.body.model_validate(example)


def test_parameters_are_those_of_the_models() -> None:
    [runs] = [route for route in API if route.path == "/api/v1/runs" and route.method == "GET"]
    parameters = {one["name"]: one for one in operation_of(runs)["parameters"]}

    assert runs.query is not None
    assert parameters.keys() == runs.query.model_fields.keys()
    assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 50}
    assert parameters["state"]["schema"]["$ref"].endswith("/State")
    assert parameters["cursor"]["schema"] == {"type": "string", "format": "uuid"}


def test_defaults_are_written_as_people_write_them() -> None:
    misfire = DESCRIPTION["components"]["schemas"]["Misfire"]["properties"]

    assert misfire["grace"]["default"] == "1h"


def test_refusals_follow_from_what_a_route_takes() -> None:
    class Body(Model):
        pass

    async def handle(_: Any) -> Any: ...

    bare = Route("GET", "/a", Role.VIEWER, handle, replies={200: Media(("text/plain",))})
    full = Route("POST", "/a/{name}", Role.ADMIN, handle, body=Body, replies={204: None}, refuses=(Conflict,))
    paths = describe([bare, full], {})["paths"]

    assert set(paths["/a"]["get"]["responses"]) == {"200", *ALWAYS}
    assert paths["/a"]["get"]["responses"]["200"]["content"] == {"text/plain": {}}
    took_body = {"400", "408", "413", "415", "422"}
    assert set(paths["/a/{name}"]["post"]["responses"]) == {"204", "404", "409", *took_body, *ALWAYS}
    assert "content" not in paths["/a/{name}"]["post"]["responses"]["204"]


def test_two_things_of_one_name_are_not_mixed_up() -> None:
    def route(path: str, body: type[Model]) -> Route:
        async def handle(_: Any) -> Any: ...

        return Route("POST", path, Role.ADMIN, handle, body=body)

    class Body(Model):
        a: int

    first = Body

    class Body(Model):  # type: ignore[no-redef]
        b: int

    with pytest.raises(TypeError, match="two different things are called Body"):
        describe([route("/a", first), route("/b", Body)], {})
