"""Changes of runs and events, as a dashboard follows them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.web.edges import OPEN, Gateway, running

EVENT = {"id": "{{ body.id }}", "type": "sent"}
TRIGGER = {"on": "alarms", "target": "sync", "payload": {}}
SETTINGS = {
    "sources": {"alarms": {**OPEN, "event": EVENT}, "other": {**OPEN, "event": EVENT}},
    "targets": {"sync": {"kind": "command", "argv": ["true"]}},
    "triggers": {"every": TRIGGER},
}


@dataclass(frozen=True)
class Told:
    id: str
    name: str | None
    data: Any


async def stream(
    gateway: Gateway, last_id: str | None = None, *, seconds: float = 10, query: dict[str, str] | None = None
) -> AsyncGenerator[Told, None]:
    """What is told, the places where nothing is told included."""
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    async with (
        asyncio.timeout(seconds),
        gateway.session.get(f"{gateway.url}/api/v1/stream", headers=headers, params=query or {}) as response,
    ):
        assert response.status == 200, await response.text()
        fields: dict[str, str] = {}
        async for line in response.content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name in ("id", "event", "data"):
                fields[name] = value
            elif not name and "id" in fields:
                data = orjson.loads(fields["data"]) if "data" in fields else None
                yield Told(fields["id"], fields.get("event"), data)
                fields = {}


async def until(told: AsyncIterator[Told], wanted: Callable[[Told], bool]) -> list[Told]:
    seen = []
    async for one in told:
        seen.append(one)
        if wanted(one):
            return seen
    raise AssertionError("it ended")


def succeeded(told: Told) -> bool:
    return told.name == "run" and bool(told.data["state"] == "succeeded")


async def send(gateway: Gateway, name: str, source: str = "alarms") -> str:
    answer = await gateway.post(f"/hooks/{source}", json={"id": name})
    assert answer.status == 202
    event_id: str = answer.json["event_id"]
    return event_id


async def test_events_and_the_states_of_their_runs(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS, dispatching=True) as gateway, aclosing(stream(gateway)) as told:
        begun = await anext(told)
        event_id = await send(gateway, "a")
        seen = await until(told, succeeded)

    assert begun.data is None
    [event] = [one.data for one in seen if one.name == "event"]
    assert (event["kind"], event["id"], event["source"]) == ("event", event_id, "alarms")
    assert event["decisions"][0]["run_id"] == seen[-1].data["id"]
    assert seen[-1].data["target"] == "sync"


async def test_a_redelivery_is_a_change_of_its_event(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS) as gateway, aclosing(stream(gateway)) as told:
        await anext(told)
        await send(gateway, "a")
        await until(told, lambda one: one.name == "event")
        await send(gateway, "a")
        seen = await until(told, lambda one: one.name == "event")

    assert seen[-1].data["deliveries"] == 2


async def test_what_came_while_nobody_listened_is_told_once(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        async with aclosing(stream(gateway)) as told:
            begun = await anext(told)
        first = await send(gateway, "a")
        async with aclosing(stream(gateway, begun.id)) as told:
            seen = await until(told, lambda one: one.name == "run")
        second = await send(gateway, "b")
        async with aclosing(stream(gateway, seen[-1].id)) as told:
            later = await until(told, lambda one: one.name == "run")

    assert [one.data["id"] for one in seen if one.name == "event"] == [first]
    assert [one.data["id"] for one in later if one.name == "event"] == [second]


async def test_more_than_a_page_is_told_completely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.runtime.feed.LIMIT", 3)
    async with running(tmp_path, SETTINGS) as gateway:
        async with aclosing(stream(gateway)) as told:
            begun = await anext(told)
        sent = [await send(gateway, str(number), "other") for number in range(20)]
        async with aclosing(stream(gateway, begun.id)) as told:
            seen = await until(told, lambda one: one.data is not None and one.data["id"] == sent[-1])

    assert [one.data["id"] for one in seen if one.data] == sent


@pytest.mark.parametrize(("query", "kinds"), [({"source": "alarms"}, {"event"}), ({"target": "sync"}, {"run"})])
async def test_a_filter_leaves_only_what_has_that_name(tmp_path: Path, query: dict[str, str], kinds: set[str]) -> None:
    async with running(tmp_path, SETTINGS) as gateway, aclosing(stream(gateway, query=query)) as told:
        await anext(told)
        await send(gateway, "a", "other")
        await send(gateway, "b")
        seen = await until(told, lambda one: one.data is not None)
        assert await quiet(told)

    assert {one.name for one in seen if one.data} == kinds


async def quiet(told: AsyncIterator[Told]) -> bool:
    """Whether nothing more comes in the time of a look."""
    try:
        await asyncio.wait_for(anext(told), 1.5)
    except TimeoutError:
        return True
    return False


@pytest.mark.parametrize(
    "last_id", ["x", "1", "1.", "-1.x", "1.0198", f"{'9' * 40}.{'0' * 36}", "1.zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz"]
)
async def test_s_a_place_that_no_stream_has_named_is_refused(tmp_path: Path, last_id: str) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        answer = await gateway.get("/api/v1/stream", headers={"Last-Event-ID": last_id})

    assert answer.status == 422
    assert [error["path"] for error in answer.json["errors"]] == ["Last-Event-ID"]


async def test_a_place_of_another_database_is_followed_from_now_on(tmp_path: Path) -> None:
    """As after a dump has been restored, where the numbers of transactions begin anew."""
    ahead = f"{10**17}.{'f' * 8}-ffff-ffff-ffff-{'f' * 12}"
    async with running(tmp_path, SETTINGS) as gateway, aclosing(stream(gateway, ahead)) as told:
        await anext(told)
        await asyncio.sleep(0.2)
        event_id = await send(gateway, "a")
        seen = await until(told, lambda one: one.name == "event")

    assert seen[-1].data["id"] == event_id


async def test_there_are_only_so_many(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        gateway.edge.streams.limit = 1
        async with aclosing(stream(gateway)) as told:
            await anext(told)
            answer = await gateway.get("/api/v1/stream")

    assert answer.status == 503
    assert answer.headers["Retry-After"]


async def test_a_shutdown_ends_it(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS) as gateway, aclosing(stream(gateway, seconds=5)) as told:
        await anext(told)
        gateway.edge.health.stopping = True
        with pytest.raises(StopAsyncIteration):
            await anext(told)


async def test_all_who_are_up_to_date_share_one_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    async with running(tmp_path, SETTINGS) as gateway:
        look = gateway.edge.feed._look

        async def counted(*place: Any) -> Any:
            nonlocal looks
            looks += 1
            return await look(*place)

        monkeypatch.setattr(gateway.edge.feed, "_look", counted)
        readers = [asyncio.create_task(read(gateway)) for _ in range(20)]
        await asyncio.sleep(0.5)
        event_id = await send(gateway, "a")
        seen = await asyncio.gather(*readers)

    assert seen == [event_id] * 20
    assert looks < 10


async def read(gateway: Gateway) -> str:
    async with aclosing(stream(gateway)) as told:
        seen = await until(told, lambda one: one.name == "event")
    event_id: str = seen[-1].data["id"]
    return event_id


async def test_the_description_of_a_stream_is_a_stream(tmp_path: Path) -> None:
    async with running(tmp_path, SETTINGS) as gateway:
        answer = await gateway.ask("HEAD", "/api/v1/stream", timeout=aiohttp.ClientTimeout(5))

    assert answer.headers["Content-Type"] == "text/event-stream"
