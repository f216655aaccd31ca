"""Pages of lists: whoever goes through them sees each thing once, whatever comes in meanwhile."""

from typing import Any

import pytest

from tests.web.edges import Gateway

COUNT = 7


async def add(gateway: Gateway, path: str, number: int) -> None:
    if path == "/api/v1/events":
        assert (await gateway.post("/hooks/alarms", json={"severity": "low", "n": number})).status == 202
    elif path == "/api/v1/runs":
        assert (await gateway.post("/api/v1/targets/sync/run", json={"payload": {"n": number}})).status == 202
    else:
        schedule = {"name": f"schedule-{number:03}", "cron": "0 1 * * *", "target": "sync"}
        assert (await gateway.post(path, json=schedule)).status == 201


def key_of(item: dict[str, Any]) -> str:
    return str(item.get("id") or item["name"])


@pytest.mark.parametrize("limit", [1, 2, 3, COUNT, 1000])
@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/runs", "/api/v1/schedules"])
async def test_what_is_there_is_seen_once_whatever_is_added_meanwhile(gateway: Gateway, path: str, limit: int) -> None:
    for number in range(COUNT):
        await add(gateway, path, number)
    before = [key_of(item) for item in (await gateway.get(path)).json["items"]]

    seen: list[str] = []
    page: dict[str, Any] = {"next": ""}
    while page["next"] is not None:
        cursor = f"&cursor={page['next']}" if page["next"] else ""
        page = (await gateway.get(f"{path}?limit={limit}{cursor}")).json
        seen += [key_of(item) for item in page["items"]]
        if len(seen) < 2 * COUNT:
            await add(gateway, path, COUNT + len(seen))

    assert len(before) == COUNT
    assert len(set(seen)) == len(seen)
    assert [key for key in seen if key in before] == before


@pytest.mark.parametrize("path", ["events", "runs", "targets", "schedules"])
@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "limit=1e2", "limit=5&limit=6", "unknown=1"),
        *("cursor=", "cursor=%00", "Limit=5", "limit=9223372036854775808"),
    ],
)
async def test_a_query_that_is_not_understood_is_refused(gateway: Gateway, path: str, query: str) -> None:
    answer = await gateway.get(f"/api/v1/{path}?{query}")

    assert answer.status == 422
    assert answer.json["errors"][0]["path"] == query.partition("=")[0]
