"""Webhooks from the socket to the answer."""

import asyncio
import gzip
import hmac
import zlib
from pathlib import Path
from typing import Any

import pytest

from gateway.config.model import Config
from gateway.core.errors import Unavailable
from gateway.runtime.snapshot import Snapshot
from tests.web.edges import OPEN, Gateway, running, snapshot_of

HIGH = {"uid": "a-1", "severity": "high"}


async def _stored(gateway: Gateway) -> int:
    return len((await gateway.get("/api/v1/events")).json["items"])


async def test_an_event_is_answered_with_its_decisions_and_stored(gateway: Gateway) -> None:
    answer = await gateway.post("/hooks/alarms", json=HIGH)

    assert answer.status == 202
    assert answer.headers["Content-Type"] == "application/json"
    assert set(answer.json) == {"event_id", "duplicate", "decisions"}
    assert answer.json["duplicate"] is False
    [decision] = answer.json["decisions"]
    assert decision == {
        "trigger": "on-alarm",
        "decision": "enqueued",
        "reason": decision["reason"],
        "run_id": decision["run_id"],
    }
    run = (await gateway.get(f"/api/v1/runs/{decision['run_id']}")).json
    assert run["event_ids"] == [answer.json["event_id"]]


async def test_a_redelivery_names_the_first_event_and_decides_nothing(gateway: Gateway) -> None:
    first = (await gateway.post("/hooks/alarms", json=HIGH)).json

    again = await gateway.post("/hooks/alarms", json=HIGH)

    assert again.status == 202
    assert again.json == {"event_id": first["event_id"], "duplicate": True, "decisions": []}
    assert (await gateway.get(f"/api/v1/events/{first['event_id']}")).json["deliveries"] == 2


async def test_many_hooks_at_once_are_all_accepted(gateway: Gateway) -> None:
    async def post(number: int) -> int:
        return (await gateway.post("/hooks/alarms", json={"uid": str(number)})).status

    statuses = await asyncio.gather(*(post(number) for number in range(300)))

    assert set(statuses) == {202}
    assert len((await gateway.get("/api/v1/events?limit=1000")).json["items"]) == 300


async def test_a_source_may_have_any_path_and_methods(tmp_path: Path) -> None:
    source = OPEN | {"path": "/in/bound/x.y", "methods": ["PUT", "GET"], "body": "text"}
    async with running(tmp_path, {"sources": {"alarms": source}}) as gateway:
        assert (await gateway.ask("PUT", "/in/bound/x.y", data="x")).status == 202
        assert (await gateway.ask("GET", "/in/bound/x.y")).status == 202
        assert (await gateway.post("/hooks/alarms", data="x")).status == 404

        refused = await gateway.post("/in/bound/x.y", data="x")

    assert refused.status == 405
    assert refused.headers["Allow"] == "PUT, GET"
    assert refused.headers["Content-Type"] == "application/problem+json"


async def test_hooks_follow_the_configuration_in_force(gateway: Gateway) -> None:
    snapshot: Snapshot = gateway.edge.current.snapshot
    config = Config.model_validate({"sources": {"new": OPEN}})
    gateway.edge.current.snapshot = snapshot_of(config, snapshot.targets)

    assert (await gateway.post("/hooks/new", json={})).status == 202
    assert (await gateway.post("/hooks/alarms", json={})).status == 404


@pytest.mark.parametrize(
    ("settings", "status", "body"),
    [
        ({"reply": {"status": 200, "body": "ok"}}, 200, b"ok"),
        ({"reply": "minimal"}, 202, None),
    ],
)
async def test_the_reply_is_what_the_source_says(
    tmp_path: Path, settings: dict[str, Any], status: int, body: bytes | None
) -> None:
    async with running(tmp_path, {"sources": {"alarms": OPEN | settings}}) as gateway:
        answer = await gateway.post("/hooks/alarms", json={})

    assert answer.status == status
    assert answer.body == body if body else set(answer.json) == {"event_id", "duplicate"}


async def test_an_ignored_event_is_accepted_and_counted_but_not_stored(tmp_path: Path) -> None:
    source = OPEN | {"ignore": "body.kind == 'heartbeat'"}
    async with running(tmp_path, {"sources": {"alarms": source}}) as gateway:
        before = (await gateway.get("/api/v1/status")).json["node"]["ignored"]
        answer = await gateway.post("/hooks/alarms", json={"kind": "heartbeat"})

        assert answer.status == 202
        assert answer.json == {"event_id": None, "duplicate": False, "decisions": []}
        assert await _stored(gateway) == 0
        assert (before, (await gateway.get("/api/v1/status")).json["node"]["ignored"]) == ({}, {"alarms": 1})


async def test_s01_only_signed_requests_pass_and_nothing_refused_is_stored(tmp_path: Path) -> None:
    verify = {"scheme": "hmac", "header": "X-Signature", "algorithm": "sha256", "encoding": "hex", "secret": "shhh"}
    source = {"kind": "webhook", "verify": verify}
    body = b'{"a": 1}'
    good = hmac.new(b"shhh", body, "sha256").hexdigest()
    async with running(tmp_path, {"sources": {"alarms": source}}) as gateway:
        for signature in ("", "0" * 64, "é", good[:-1], f"x{good}", "\udc80"):
            line = f"X-Signature: {signature}\r\n".encode("utf-8", "surrogateescape")
            head = b"POST /hooks/alarms HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 8\r\n"
            answer = await gateway.raw(head + line + b"\r\n" + body)
            assert answer.startswith(b"HTTP/1.1 401 "), signature
        assert await _stored(gateway) == 0

        assert (await gateway.post("/hooks/alarms", data=body, headers={"X-Signature": good})).status == 202


async def test_s02_what_is_unknown_and_what_is_unproven_look_alike(tmp_path: Path) -> None:
    source = {"kind": "webhook", "verify": {"scheme": "token", "name": "X-Token", "secret": "shhh"}}
    async with running(tmp_path, {"sources": {"alarms": source}}) as gateway:
        known = await gateway.post("/hooks/alarms", json={})
        unknown = await gateway.post("/hooks/nothing", json={})

    assert (known.status, unknown.status) == (401, 404)
    assert set(known.json) == set(unknown.json) == {"type", "title", "status", "detail"}
    assert b"shhh" not in known.body
    assert b"alarms" not in known.body
    assert b"nothing" not in unknown.body.replace(b"nothing here", b"")


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"nul", b'{"a": NaN}', b'{"a": 1e999}', b"[" * 65 + b"]" * 65, b"[" * 100_000, b"\xff\xfe{}"),
        *(b'"\\u0000"', b'"\\ud800"', b"18446744073709551616"),
    ],
)
async def test_s03_what_is_no_json_is_refused(gateway: Gateway, body: bytes) -> None:
    answer = await gateway.post("/hooks/alarms", data=body)

    assert answer.status == 400
    assert answer.json["status"] == 400
    assert answer.json["title"] == "Unparseable body"


async def test_s03_what_is_stored_is_shown_again_byte_for_byte(gateway: Gateway) -> None:
    body = b'{ "uid": "x",  "b": 1.10, "\\u00e9": [18446744073709551615] }'

    event_id = (await gateway.post("/hooks/alarms", data=body)).json["event_id"]

    assert body in (await gateway.get(f"/api/v1/events/{event_id}")).body


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b'{"uid": "1"}', mtime=0)),
        ("deflate", zlib.compress(b'{"uid": "1"}')),
        ("identity", b'{"uid": "1"}'),
    ],
)
async def test_s04_compressed_bodies_are_read(gateway: Gateway, encoding: str, body: bytes) -> None:
    answer = await gateway.post("/hooks/alarms", data=body, headers={"Content-Encoding": encoding})

    assert answer.status == 202


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", gzip.compress(b"[" + b"0," * 100_000_000 + b"0]", 1, mtime=0), 413),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-5], 400),
        ("gzip", b"not gzip", 400),
        ("gzip", b"", 400),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0), 415),
        ("br", b"x", 415),
        ("zstd", b"x", 415),
    ],
    ids=["bomb", "cut off", "no gzip", "empty", "twice", "br", "zstd"],
)
async def test_s04_bombs_and_broken_streams_are_refused(
    gateway: Gateway, encoding: str, body: bytes, status: int
) -> None:
    answer = await gateway.post("/hooks/alarms", data=body, headers={"Content-Encoding": encoding})

    assert answer.status == status
    assert answer.json["status"] == status


async def test_a_body_that_says_it_is_too_long_is_refused_unread(tmp_path: Path) -> None:
    async with running(tmp_path, {"sources": {"alarms": OPEN}, "server": {"max_body": 1000}}) as gateway:
        head = b"POST /hooks/alarms HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(head % 1001)

        async with asyncio.timeout(1):
            assert await reader.readline() == b"HTTP/1.1 413 Request Entity Too Large\r\n"
        writer.close()

        assert (await gateway.post("/hooks/alarms", data=b'"' + b"x" * 998 + b'"')).status == 202


async def test_a_body_of_unknown_length_is_refused_when_it_gets_too_long(tmp_path: Path) -> None:
    async with running(tmp_path, {"sources": {"alarms": OPEN}, "server": {"max_body": 1000}}) as gateway:
        chunked = b"POST /hooks/alarms HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(chunked + (b"64\r\n" + b"x" * 100 + b"\r\n") * 11)
        async with asyncio.timeout(1):
            assert b" 413 " in await reader.readline()
        writer.close()

        async def pieces() -> Any:
            for piece in (b'{"a', b'": 1', b"}"):
                yield piece
                await asyncio.sleep(0.01)

        assert (await gateway.post("/hooks/alarms", data=pieces())).status == 202


async def test_a_sender_that_waits_to_be_asked_for_the_body_is_asked(gateway: Gateway) -> None:
    answer = await gateway.post("/hooks/alarms", json={}, expect100=True)

    assert answer.status == 202


async def test_a_sender_that_goes_away_in_the_body_harms_nobody(
    gateway: Gateway, capfd: pytest.CaptureFixture[str]
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"POST /hooks/alarms HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
    await asyncio.sleep(0.05)
    writer.transport.abort()
    await asyncio.sleep(0.05)

    assert (await gateway.post("/hooks/alarms", json={})).status == 202
    assert "Traceback" not in "".join(capfd.readouterr())


async def test_too_many_requests_are_told_when_to_come_back(tmp_path: Path) -> None:
    async with running(tmp_path, {"sources": {"alarms": OPEN | {"rate": "2/m"}}}) as gateway:
        statuses = [(await gateway.post("/hooks/alarms", json={})).status for _ in range(2)]
        refused = await gateway.post("/hooks/alarms", json={})

    assert statuses == [202, 202]
    assert refused.status == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 30


async def test_only_allowed_addresses_may_call(tmp_path: Path) -> None:
    settings = {"sources": {"no": OPEN | {"allow": ["192.0.2.0/24"]}, "yes": OPEN | {"allow": ["127.0.0.0/8"]}}}
    async with running(tmp_path, settings) as gateway:
        forged = {"X-Forwarded-For": "192.0.2.1"}
        assert (await gateway.post("/hooks/no", json={}, headers=forged)).status == 403
        assert (await gateway.post("/hooks/yes", json={})).status == 202

    async with running(tmp_path, settings | {"server": {"trusted_proxies": ["127.0.0.1/32"]}}) as gateway:
        assert (await gateway.post("/hooks/no", json={}, headers=forged)).status == 202
        assert (await gateway.post("/hooks/yes", json={}, headers=forged)).status == 403


async def test_a_store_that_cannot_commit_is_unavailable(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    async def commit(*_: object) -> None:
        raise Unavailable("too many requests wait for the database", retry_after=0.2)

    monkeypatch.setattr(gateway.edge.database, "commit", commit)

    answer = await gateway.post("/hooks/alarms", json={})

    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert answer.json["title"] == "Unavailable"


async def test_a_defect_shows_nothing_of_itself(
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def commit(*_: object) -> None:
        raise RuntimeError("a secret place")

    monkeypatch.setattr(gateway.edge.database, "commit", commit)

    answer = await gateway.post("/hooks/alarms", json={})

    assert answer.status == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert b"secret place" not in answer.body
    assert "a secret place" in "".join(capfd.readouterr()) + caplog.text


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "GET", "PATCH", "TRACE", "BREW"])
async def test_other_methods_are_refused(gateway: Gateway, method: str) -> None:
    answer = await gateway.ask(method, "/hooks/alarms")

    assert answer.status in {405, 400}
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert method == "BREW" or answer.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "path",
    [
        *("/hooks", "/hooks/", "/hooks/x/y", "/hooks/alarms/", "/hooks/%00", "/hooks/..%2f..%2fetc"),
        *("/nothing", "//hooks/alarms"),
    ],
)
async def test_s14_there_is_nothing_elsewhere(gateway: Gateway, path: str) -> None:
    answer = await gateway.raw(b"POST " + path.encode() + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"application/problem+json" in answer


async def test_hostile_headers_and_queries_are_data(gateway: Gateway) -> None:
    head = b"POST /hooks/alarms?a=%00&a=%ff&=&%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n"
    hostile = (
        b"User-Agent: \xff\xfe\x80\r\nX-Long: " + b"x" * 8000 + b"\r\nAuthorization: Basic !!!\r\nCookie: \xe9\r\n\r\n"
    )

    answer = await gateway.raw(head + hostile + b"{}")

    assert answer.startswith(b"HTTP/1.1 202 ")
