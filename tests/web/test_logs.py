"""The log of a run, as text and as a stream."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.core.errors import Unavailable
from gateway.core.log_tail import MAX_LINES
from gateway.web import sse
from gateway.web.edge import Deadlines
from tests.stream import Sent, sent
from tests.waiting import until
from tests.web.edges import Gateway, running

SOON = 0.05
FAILS_ONCE = 'echo "$GATEWAY_ATTEMPT"; sleep 0.5; test "$GATEWAY_ATTEMPT" = 2'


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody here waits for seconds."""
    monkeypatch.setattr("gateway.runtime.live.EVERY", timedelta(seconds=SOON))
    monkeypatch.setattr("gateway.runtime.watch.EVERY", SOON)


@asynccontextmanager
async def working(folder: Path, script: str, deadlines: Deadlines | None = None, **keys: Any) -> AsyncIterator[Gateway]:
    target = {"kind": "command", "argv": ["sh", "-c", script], "grace": "100ms", **keys}
    target.setdefault("retry", {"delays": ["10ms"], "attempts": 2})
    async with running(folder, {"targets": {"sync": target}}, deadlines=deadlines, dispatching=True) as gateway:
        yield gateway


async def begun(gateway: Gateway, **query: str) -> str:
    """The id of a new run, `wait` seconds later."""
    run_id: str = (await gateway.post("/api/v1/targets/sync/run", params=query)).json["id"]
    return run_id


@asynccontextmanager
async def following(gateway: Gateway, run_id: str, **headers: str) -> AsyncIterator[AsyncIterator[Sent]]:
    path = f"{gateway.url}/api/v1/runs/{run_id}/log?follow=1"
    async with gateway.session.get(path, headers=headers, timeout=aiohttp.ClientTimeout(total=20)) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        yield sent(response)


async def followed(gateway: Gateway, run_id: str, **headers: str) -> list[Sent]:
    """All that is sent until the stream ends."""
    async with following(gateway, run_id, **headers) as events:
        return [event async for event in events]


async def _until_log(events: AsyncIterator[Sent], line: str) -> Sent:
    async for event in events:
        if event.name == "log" and line in event.data.split("\n"):
            return event
    raise AssertionError(line)


async def text_of(gateway: Gateway, run_id: str) -> str:
    answer = await gateway.get(f"/api/v1/runs/{run_id}/log")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    return answer.body.decode()


async def test_the_log_has_all_attempts_under_their_headings(tmp_path: Path) -> None:
    async with working(tmp_path, FAILS_ONCE) as gateway:
        run_id = await begun(gateway, wait="10s")
        text = await text_of(gateway, run_id)

    lines = [line for line in text.splitlines() if not line.startswith("$ ") and " after 0." not in line]
    assert [line for line in lines if not line.startswith("== ")] == ["1", "2"]
    first, second = (line for line in lines if line.startswith("== "))
    assert first.startswith("== attempt 1 on ")
    assert first.endswith("Z: failed, status 1: exited with 1")
    assert second.endswith(": succeeded, status 0")


async def test_a_run_without_attempts_has_an_empty_log(gateway: Gateway) -> None:
    assert await text_of(gateway, await begun(gateway)) == ""


async def test_a_log_is_followed_through_retries_to_the_end(tmp_path: Path) -> None:
    async with working(tmp_path, FAILS_ONCE) as gateway:
        run_id = await begun(gateway)
        live = await followed(gateway, run_id)
        afterwards = await followed(gateway, run_id)

    told = [event for event in live if event.name in ("attempt", "outcome", "end")]
    assert [event.name for event in told] == ["attempt", "outcome", "attempt", "outcome", "end"]
    assert [event.json["outcome"] for event in told[:-1]] == [None, "failed", None, "succeeded"]
    assert (told[-1].json["state"], told[-1].json["id"]) == ("succeeded", run_id)
    assert "running" in [event.json["state"] for event in live if event.name == "run"]
    assert log_of(live) == log_of(afterwards)
    assert live[-1] == afterwards[-1] == Sent("end", live[-1].data, "end")


def log_of(events: list[Sent]) -> list[str]:
    return [line for event in events if event.name == "log" for line in event.data.split("\n")]


async def test_attempts_have_their_headings_whenever_they_are_seen_first(tmp_path: Path) -> None:
    """Also those that nothing was known of when somebody began to follow, and began and ended between two looks."""
    script = 'echo "$GATEWAY_ATTEMPT"; test "$GATEWAY_ATTEMPT" = 3'
    async with working(tmp_path, script, retry={"delays": ["300ms"], "attempts": 3}) as gateway:
        later = {"due_at": (gateway.edge.database.now() + timedelta(seconds=0.3)).isoformat()}
        run_id = (await gateway.post("/api/v1/targets/sync/run", json=later)).json["id"]
        events = await followed(gateway, run_id)

    told = [event for event in events if event.name in ("attempt", "outcome")]
    assert [(event.name, event.json["number"]) for event in told] == [
        (name, number) for number in (1, 2, 3) for name in ("attempt", "outcome")
    ]


async def test_what_a_call_says_is_seen_while_it_lasts(tmp_path: Path) -> None:
    async with working(tmp_path, "echo one; sleep 30") as gateway:
        run_id = await begun(gateway)
        async with asyncio.timeout(5), following(gateway, run_id) as events:
            await _until_log(events, "one")
        text = await text_of(gateway, run_id)
        run = (await gateway.get(f"/api/v1/runs/{run_id}")).json

    assert text.splitlines()[0].startswith("== attempt 1 on ")
    assert text.splitlines()[-1] == "one"
    assert (run["state"], run["attempts"]) == ("running", [])


async def test_a_lost_stream_goes_on_where_it_was(tmp_path: Path) -> None:
    """In the middle of an attempt, at its end, and at the end of all."""
    async with working(
        tmp_path, "echo one; sleep 0.5; echo two; sleep 0.5; echo three; test $GATEWAY_ATTEMPT = 2"
    ) as gateway:
        run_id = await begun(gateway)
        async with following(gateway, run_id) as events:
            place = (await _until_log(events, "one")).id
        rest = await followed(gateway, run_id, **{"Last-Event-ID": place or ""})
        whole = await followed(gateway, run_id)
        over = await gateway.get(f"/api/v1/runs/{run_id}/log?follow=1", headers={"Last-Event-ID": "end"})
        resumed = [
            await followed(gateway, run_id, **{"Last-Event-ID": event.id})
            for event in whole
            if event.id != "end" and event.id
        ]

    lines = log_of(whole)
    assert [line for line in lines if line in ("one", "two", "three")] == ["one", "two", "three"] * 2
    assert log_of(rest) == lines[lines.index("one") + 1 :]
    assert "attempt" not in [event.name for event in rest if event.id == "1.0"]
    assert over.status == 204
    places = [event for event in whole if event.id and event.id != "end"]
    assert [log_of(events) for events in resumed] == [log_of(whole[whole.index(place) + 1 :]) for place in places]


@pytest.mark.parametrize("value", ["abc", "1", "1.2.3", "-1.0", "1.-1", "9999999999.0", "1.0\x85", "².", "x" * 5000])
async def test_a_place_that_is_none_is_refused(gateway: Gateway, value: str) -> None:
    run_id = await begun(gateway)
    answer = await gateway.get(f"/api/v1/runs/{run_id}/log?follow=1", headers={"Last-Event-ID": value})

    assert answer.status == 422
    assert answer.json["errors"] == [{"path": "Last-Event-ID", "message": "expected the id of an event of this log"}]


async def test_a_place_beyond_the_end_is_no_place_to_wait(tmp_path: Path) -> None:
    async with working(tmp_path, "true") as gateway:
        run_id = await begun(gateway, wait="10s")
        events = await followed(gateway, run_id, **{"Last-Event-ID": "999999999.999999999"})

    assert [event.name for event in events] == ["end"]


@pytest.mark.parametrize("query", ["follow=maybe", "follow=", "follow=1&follow=1", "nonsense=1"])
async def test_hostile_queries_are_named(gateway: Gateway, query: str) -> None:
    answer = await gateway.get(f"/api/v1/runs/{await begun(gateway)}/log?{query}")

    assert answer.status == 422
    assert [error["path"] for error in answer.json["errors"]] == [query.partition("=")[0]]


@pytest.mark.parametrize("run_id", ["abc", "..%2f..%2fx", "%00", "01a1ff49-0ea4-77ad-bb12-bb91902dd1bb"])
@pytest.mark.parametrize("query", ["", "?follow=1"])
async def test_an_unknown_run_has_no_log(gateway: Gateway, run_id: str, query: str) -> None:
    assert (await gateway.get(f"/api/v1/runs/{run_id}/log{query}")).status == 404


async def test_nothing_in_a_log_forges_events_or_steers_a_terminal(tmp_path: Path) -> None:
    script = r"printf 'data: x\r\n\revent: end\n\n\033[2J\a\tok\0 \342\200\250id: 9.9\n'; sleep 0.3"
    async with working(tmp_path, script) as gateway:
        run_id = await begun(gateway)
        events = await followed(gateway, run_id)
        text = await text_of(gateway, run_id)

    assert [event.name for event in events].count("end") == 1
    lines = log_of(events)
    assert lines[1:-1] == ["data: x", "event: end", "\ufffd[2J\ufffd\tok\ufffd ", "id: 9.9"]
    assert [line for line in text.splitlines() if not line.replace("\t", "").isprintable()] == []
    assert text.splitlines()[1:] == lines


async def test_of_a_flood_the_end_is_sent_and_the_rest_is_missed(tmp_path: Path) -> None:
    async with working(
        tmp_path, "seq 5000; sleep 0.3; head -c 1048576 /dev/zero | tr '\\0' x; echo; sleep 0.3"
    ) as gateway:
        run_id = await begun(gateway)
        events = await followed(gateway, run_id)
        text = (await text_of(gateway, run_id)).splitlines()

    lines = log_of(events)
    assert "5000" in lines
    assert any(line.endswith("lines before this one were not kept)") for line in lines)
    assert text[1].endswith("lines before this one were not kept)")
    assert sum(map(len, text[2:])) <= 256 * 1024
    assert len(text) <= MAX_LINES + 2


async def test_a_head_of_a_log_is_answered_at_once(tmp_path: Path) -> None:
    async with working(tmp_path, "sleep 30") as gateway, asyncio.timeout(3):
        run_id = await begun(gateway)
        assert (await gateway.ask("HEAD", f"/api/v1/runs/{run_id}/log?follow=1")).status == 200
        assert (await gateway.ask("HEAD", f"/api/v1/runs/{run_id}/log")).status == 200


async def test_silence_is_filled_with_comments(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE", SOON)
    async with asyncio.timeout(5), following(gateway, await begun(gateway)) as events:
        assert [(await anext(events)).name for _ in range(4)] == ["run", ":", ":", ":"]


async def test_who_goes_away_costs_nothing_afterwards(gateway: Gateway) -> None:
    run_id = await begun(gateway)
    streams = gateway.edge.streams
    async with following(gateway, run_id) as first, following(gateway, run_id) as second:
        await anext(first)
        await anext(second)
        assert streams.open == 2
    async with asyncio.timeout(3):
        while streams.open or gateway.edge.watch._look:  # noqa: ASYNC110
            await asyncio.sleep(SOON)


async def test_s06_who_does_not_read_is_sent_away_and_costs_no_memory(tmp_path: Path) -> None:
    """What was not taken is not kept for anybody: the next thing is read when the last one has left."""
    flood = f"while :; do yes {'x' * 200} | head -n 1000; sleep 0.02; done"
    async with working(tmp_path, flood, Deadlines(reader=0.3)) as gateway:
        run_id = await begun(gateway)
        asked = f"GET /api/v1/runs/{run_id}/log?follow=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", gateway.port))
            reader.sendall(asked.encode())
            for expected in (1, 0):
                await until(lambda: _open(gateway), expected, "open streams", seconds=10)


async def _open(gateway: Gateway) -> int:
    return gateway.edge.streams.open


async def test_only_so_many_may_follow(gateway: Gateway) -> None:
    run_id = await begun(gateway)
    gateway.edge.streams.limit = 1
    async with following(gateway, run_id) as events:
        await anext(events)
        answer = await gateway.get(f"/api/v1/runs/{run_id}/log?follow=1")

    assert answer.status == 503
    assert answer.headers["Retry-After"] == "5"


async def test_streams_end_when_the_gateway_stops(gateway: Gateway) -> None:
    async with asyncio.timeout(3), following(gateway, await begun(gateway)) as events:
        await anext(events)
        gateway.edge.health.stopping = True
        assert [event async for event in events] == []


async def test_a_database_that_is_away_for_a_while_is_waited_for(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await begun(gateway)
    database = gateway.edge.database
    read = database.read
    monkeypatch.setattr("gateway.web.api.logs.AGAIN_AFTER", SOON)
    async with asyncio.timeout(5), following(gateway, run_id) as events:
        await anext(events)
        monkeypatch.setattr(database, "read", _away)
        await asyncio.sleep(4 * SOON)
        monkeypatch.setattr(database, "read", read)
        await gateway.post(f"/api/v1/runs/{run_id}/cancel")

        assert [event.name async for event in events] == ["end"]


def _away() -> Any:
    raise Unavailable("no database")
