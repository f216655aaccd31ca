"""Values that nobody sends by mistake: each is refused, named, and changes nothing."""

from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import pytest
import pytest_asyncio

from gateway.core.ids import new_id
from tests.web.conftest import SETTINGS
from tests.web.edges import Gateway, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """One for all: nothing here is accepted."""
    async with running(tmp_path_factory.mktemp("hostile"), SETTINGS) as one:
        yield one


@pytest.mark.parametrize("thing", ["runs", "events"])
@pytest.mark.parametrize(
    "query",
    [
        *(
            "limit=abc",
            "limit=-1",
            "limit=0",
            "limit=1001",
            "limit=1000000000",
            "limit=",
            "limit=1.5",
            "limit=1&limit=2",
        ),
        *(
            "cursor=abc",
            "cursor=../../x",
            "cursor=",
            "since=yesterday",
            "since=2026-01-01",
            "since=2026-01-01T00:00:00",
        ),
        *("since=-5m", "since=", "since=5", "since=0001-01-01T00:00:00%2B23:59", "until=99999-01-01T00:00:00Z"),
        *("nonsense=1", "type=%00", "target=%00", "key=", "state=nonsense", "decision=nonsense"),
    ],
)
async def test_hostile_queries_are_named(gateway: Gateway, thing: str, query: str) -> None:
    answer = await gateway.get(f"/api/v1/{thing}?{query}")

    assert answer.status == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["path"] for error in answer.json["errors"]] == [query.partition("=")[0]]
    assert all(error["message"] for error in answer.json["errors"])


@pytest.mark.parametrize(
    "path", ["runs/abc", "runs/..%2f..%2fx", "runs/%00", "events/1", "targets/..%2fx", "targets/%f0%9f%92%a9"]
)
async def test_s14_what_is_no_id_is_not_found(gateway: Gateway, path: str) -> None:
    assert (await gateway.get(f"/api/v1/{path}")).status == 404


async def test_what_does_not_exist_is_not_found_before_the_body_is_looked_at(gateway: Gateway) -> None:
    runs, events = f"runs/{new_id()}", f"events/{new_id()}"
    targets = "targets/nothing"
    for path in (f"{runs}/cancel", f"{runs}/retry", f"{events}/replay", f"{targets}/run", f"{targets}/pause"):
        answer = await gateway.post(f"/api/v1/{path}?nonsense=1", data=b"{", headers={"Content-Type": "x/y"})
        assert answer.status == 404


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        (b"{", 400, None),
        (b'{"payload": NaN}', 400, None),
        (b'{"payload": "\\u0000"}', 400, None),
        (b'{"key": "\\u0000"}', 400, None),
        (b'{"payload": ' + b"[" * 65 + b"]" * 65 + b"}", 400, None),
        (b'{"payload": ' + b"[" * 100_000, 400, None),
        (b'{"payload": 18446744073709551616}', 400, None),
        (b"[]", 422, ""),
        (b"1", 422, ""),
        (b"null", 422, ""),
        (b'"x"', 422, ""),
        (b'{"payloads": {}}', 422, "payloads"),
        (b'{"key": ""}', 422, "key"),
        (b'{"key": " "}', 422, "key"),
        (b'{"key": 5}', 422, "key"),
        (b'{"key": []}', 422, "key"),
        (b'{"key": "' + b"x" * 501 + b'"}', 422, "key"),
        (b'{"due_at": "soon"}', 422, "due_at"),
        (b'{"due_at": 5}', 422, "due_at"),
        (b'{"due_at": "2026-01-01T00:00:00"}', 422, "due_at"),
        (b'"' + b"x" * 2**20 + b'"', 413, None),
    ],
    ids=lambda value: value[:40].decode() if isinstance(value, bytes) else None,
)
async def test_hostile_bodies_are_named(gateway: Gateway, body: bytes, status: int, path: str | None) -> None:
    json = {"Content-Type": "application/json"}

    answer = await gateway.post("/api/v1/targets/sync/run", data=BytesIO(body), headers=json)

    assert answer.status == status
    assert [error["path"] for error in answer.json.get("errors", [])] == ([] if path is None else [path])
    assert (await gateway.get("/api/v1/runs")).json["items"] == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("pause", {"for": "soon"}),
        ("pause", {"for": "-5m"}),
        ("pause", {"for": 0}),
        ("pause", {"for": 60}),
        ("pause", {"lasting": "5m"}),
        ("pause", {"reason": "x" * 1001}),
        ("resume", {"for": "5m"}),
        ("run?wait=5", {}),
        ("run?wait=61m", {}),
        ("run?wait=forever", {}),
    ],
    ids=str,
)
async def test_what_nobody_understands_changes_nothing(gateway: Gateway, path: str, body: dict[str, Any]) -> None:
    answer = await gateway.post(f"/api/v1/targets/sync/{path}", json=body)

    assert answer.status == 422
    assert (await gateway.get("/api/v1/targets/sync")).json["state"] == "ready"
    assert (await gateway.get("/api/v1/runs")).json["items"] == []
