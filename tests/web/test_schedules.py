"""Schedules through the API, on a real database; nobody makes ticks here."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from gateway.core.misfire import Skip
from gateway.core.schedule import Schedule
from gateway.runtime.ticks import define
from gateway.store.schedules import Origin
from gateway.store.scheduling import Writing, write_schedules
from gateway.store.schema import schedules
from gateway.store.skips import record_skips
from gateway.store.writer import Work
from tests.web.conftest import TARGET
from tests.web.edges import ACCESS, OPEN, TOKENS, Gateway, running

SCHEDULES = "/api/v1/schedules"
SETTINGS: dict[str, Any] = {
    "sources": {"alarms": OPEN},
    "targets": {"sync": TARGET},
    "windows": {"night": {"cron": "0 22 * * *", "for": "4h"}},
}
NIGHTLY: dict[str, Any] = {"cron": "0 1 * * *", "target": "sync"}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path, SETTINGS) as one:
        yield one


async def create(gateway: Gateway, name: str = "nightly", **fields: Any) -> dict[str, Any]:
    answer = await gateway.post(SCHEDULES, json={"name": name, **(fields or NIGHTLY)})
    assert answer.status == 201, answer
    created: dict[str, Any] = answer.json
    return created


async def change(gateway: Gateway, name: str, **values: Any) -> None:
    """What only the leader does, or somebody with access to the database."""
    statement = update(schedules).where(schedules.c.name == name).values(**values)

    def written(work: Work, wanted: Any) -> list[None]:
        work.connection.execute(statement)
        return [None for _ in wanted]

    await gateway.edge.database.commit(written, None)


async def test_a_schedule_is_created_shown_replaced_and_removed(gateway: Gateway) -> None:
    created = await create(gateway, interval="90m", target="sync", payload={"a": 1}, misfire={"grace": "600s"})

    fields = {"interval": "1h30m", "target": "sync", "payload": {"a": 1}, "misfire": {"grace": "10m"}}
    assert fields.items() <= created.items()
    assert (created["name"], created["origin"], created["enabled"], created["ticks"]) == ("nightly", "api", True, 0)
    assert (created["paused"], created["last_run_id"], created["skipped"]) == (None, None, [])
    assert created["updated_by"] == "local"
    assert len(created["upcoming"]) == 5
    assert created["next_due"] == created["upcoming"][0]
    assert (await gateway.get(f"{SCHEDULES}/nightly")).json == created

    replaced = await gateway.ask("PUT", f"{SCHEDULES}/nightly", json={"cron": "0 1 * * *", "target": "sync"})
    assert replaced.status == 200
    assert "interval" not in replaced.json
    assert "payload" not in replaced.json
    assert replaced.json["created_at"] == created["created_at"]

    removed = await gateway.ask("DELETE", f"{SCHEDULES}/nightly")
    assert (removed.status, removed.body) == (204, b"")
    assert (await gateway.get(f"{SCHEDULES}/nightly")).status == 404


async def test_lists_go_by_name_in_pages(gateway: Gateway) -> None:
    for name in ("c", "a", "b"):
        await create(gateway, name)

    first = (await gateway.get(f"{SCHEDULES}?limit=2")).json
    second = (await gateway.get(f"{SCHEDULES}?limit=2&cursor={first['next']}")).json

    assert [one["name"] for one in first["items"]] == ["a", "b"]
    assert [one["name"] for one in second["items"]] == ["c"]
    assert second["next"] is None


@pytest.mark.parametrize("name", ["nightly", "alarms", "api", "gateway", "upcoming"])
async def test_names_that_are_taken_are_conflicts(gateway: Gateway, name: str) -> None:
    await create(gateway)

    assert (await gateway.post(SCHEDULES, json={"name": name, **NIGHTLY})).status == 409
    assert len((await gateway.get(SCHEDULES)).json["items"]) == 1


async def test_schedules_of_the_file_are_changed_there(gateway: Gateway) -> None:
    await create(gateway)
    await change(gateway, "nightly", origin=Origin.FILE)

    put = await gateway.ask("PUT", f"{SCHEDULES}/nightly", json=NIGHTLY)
    posted = await gateway.post(SCHEDULES, json={"name": "nightly", **NIGHTLY})
    deleted = await gateway.ask("DELETE", f"{SCHEDULES}/nightly")

    assert [answer.status for answer in (put, posted, deleted)] == [409, 409, 409]
    assert "configuration file" in put.json["detail"]
    assert (await gateway.post(f"{SCHEDULES}/nightly/pause")).json["paused"]["by"] == "local"


@pytest.mark.parametrize(
    "path",
    ["nothing", "Nightly", "%00", "%F0%9F%92%A9", "..%2fx", "%ED%A0%80", "x" * 500],
)
async def test_s14_what_does_not_exist_is_not_found_before_the_body_is_looked_at(gateway: Gateway, path: str) -> None:
    answers = [
        await gateway.ask(method, f"{SCHEDULES}/{path}{action}", data=b"{")
        for method, action in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/run"), ("POST", "/pause"))
    ]

    assert [answer.status for answer in answers] == [404] * 5


@pytest.mark.parametrize("timing", [{"cron": ""}, {"cron": None}, {"continuous": False}], ids=str)
async def test_one_may_be_switched_off_by_its_timing(gateway: Gateway, timing: dict[str, Any]) -> None:
    created = await gateway.post(SCHEDULES, json={"name": "off", "target": "sync", **timing})

    assert (created.status, created.json["enabled"], created.json["next_due"]) == (201, False, None)


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({}, {"": "expected exactly one of cron, interval, at, calendar, any, all, continuous"}),
        ({"interval": "5m", "cron": "0 1 * * *"}, {"": "expected exactly one of"}),
        ({"cron": "0 1 * *"}, {"cron": "expected five fields"}),
        ({"cron": "0 0 31 2 *"}, {"cron": "there is no such day"}),
        ({"cron": 5}, {"cron": "should be a text"}),
        ({"cron": ["0 1 * * *"]}, {"cron": "should be a text"}),
        ({"cron": "0 1 * * *"}, {"target": "is missing, and no trigger listens"}),
        ({"interval": "0s"}, {"interval": "expected at least 1s"}),
        ({"interval": "-5m"}, {"interval": "expected a duration"}),
        ({"interval": 2**63}, {"interval": "expected a duration"}),
        ({"interval": "36500d"}, {"interval": "is not due within eight years"}),
        ({"at": "2020-01-01T00:00:00Z"}, {"at": "is over already"}),
        ({"at": "soon"}, {"at": "expected a time"}),
        ({**NIGHTLY, "end": "2020-01-01T00:00:00Z"}, {"end": "is over already"}),
        ({**NIGHTLY, "start": "2099-01-01T00:00:00Z"}, {"cron": "is not due within eight years"}),
        ({**NIGHTLY, "start": "2099-01-02T00:00:00Z", "end": "2099-01-01T00:00:00"}, {"end": "expected a time after"}),
        ({"calendar": {"days": 1, "time": "25:00"}}, {"calendar.time": "expected a time of day"}),
        ({"calendar": "daily"}, {"calendar": "should be a mapping"}),
        ({"any": [{"cron": "x"}]}, {"any.0.cron": "expected five fields"}),
        ({"any": []}, {"any": "should have at least 1 in it"}),
        ({"any": [{"any": [{"any": [{"any": [{"interval": "5m"}]}]}]}]}, {"": "any and all go at most 3 deep"}),
        ({"all": [{"cron": "0 1 * * *"}, {"cron": "0 2 * * *"}]}, {"all": "not due at the same instant"}),
        ({**NIGHTLY, "misfire": {"policy": "never"}}, {"misfire.policy": "should be 'once', 'all' or 'skip'"}),
        ({**NIGHTLY, "misfire": {"max": 10**9}}, {"misfire.max": "should be at most 1000"}),
        ({**NIGHTLY, "overlap": "x"}, {"overlap": "should be 'queue', 'skip', 'allow' or 'cancel_running'"}),
        ({**NIGHTLY, "timezone": "Mars"}, {"timezone": "expected a time zone"}),
        ({**NIGHTLY, "timezone": "../../etc/passwd"}, {"timezone": "expected a time zone"}),
        ({**NIGHTLY, "enabled": "maybe"}, {"enabled": "should be true or false"}),
        ({**NIGHTLY, "once": {}}, {"once.key": "is missing"}),
        ({**NIGHTLY, "crom": "x"}, {"crom": "unknown key"}),
        ({**NIGHTLY, "target": "snyc"}, {"target": "there is no target 'snyc'; did you mean 'sync'?"}),
        ({**NIGHTLY, "target": 5}, {"target": "should be a text"}),
        ({"cron": "x", "target": "y", "not_during": "z"}, {"target": "y", "not_during": "z", "cron": "five"}),
    ],
    ids=str,
)
async def test_t09_all_that_is_wrong_with_a_schedule_is_named(
    gateway: Gateway, fields: dict[str, Any], errors: dict[str, str]
) -> None:
    await create(gateway)

    posted = await gateway.post(SCHEDULES, json={"name": "x", **fields})
    put = await gateway.ask("PUT", f"{SCHEDULES}/nightly", json=fields)

    found = {error["path"]: error["message"] for error in posted.json["errors"]}
    assert (posted.status, put.status) == (422, 422)
    assert put.json["errors"] == posted.json["errors"]
    assert found.keys() == errors.keys()
    assert [path for path, part in errors.items() if part not in found[path]] == []
    assert [one["cron"] for one in (await gateway.get(SCHEDULES)).json["items"]] == ["0 1 * * *"]


@pytest.mark.parametrize("name", ["", "Nightly", "a b", "a\n", "ä", "x" * 101, 5, None, ["a"], {}])
async def test_names_are_made_of_few_characters(gateway: Gateway, name: Any) -> None:
    answer = await gateway.post(SCHEDULES, json={"name": name, **NIGHTLY})

    assert answer.status == 422
    assert [error["path"] for error in answer.json["errors"]] == ["name"]


async def test_a_name_is_asked_for_once(gateway: Gateway) -> None:
    await create(gateway)

    nameless = await gateway.post(SCHEDULES, json=NIGHTLY)
    named = await gateway.ask("PUT", f"{SCHEDULES}/nightly", json={"name": "nightly", **NIGHTLY})

    assert nameless.json["errors"] == [{"path": "name", "message": "is missing"}]
    assert named.json["errors"] == [{"path": "name", "message": "unknown key"}]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"[]", 422),
        (b"null", 422),
        (b"{", 400),
        (b'{"name": "x", "cron": "\\u0000"}', 400),
        (b'{"name": "x", "cron": "\\ud800"}', 400),
        (b'{"name": "x", "interval": 123456789012345678901234567890}', 400),
        (b'{"name": "x", "interval": "5m", "payload": ' + b"[" * 100_000, 400),
        (b'{"name": "x", "interval": "5m", "payload": ' + b"[" * 65 + b"]" * 65 + b"}", 400),
        (b'{"name": "x", "any": ' + b'[{"any": ' * 20 + b"[]" + b"}]" * 20 + b"}", 422),
        (b'{"name": "x", "any": [' + b'{"cron": "* * * * *"},' * 10_000 + b'{"cron": "* * * * *"}]}', 422),
        (b'{"name": "' + b"x" * 2**20 + b'"}', 413),
    ],
    ids=lambda value: value[:60].decode() if isinstance(value, bytes) else None,
)
async def test_t09_hostile_bodies_are_refused(gateway: Gateway, body: bytes, status: int) -> None:
    json = {"Content-Type": "application/json"}

    assert (await gateway.post(SCHEDULES, data=BytesIO(body), headers=json)).status == status
    assert (await gateway.get(SCHEDULES)).json["items"] == []


@pytest.mark.parametrize("cron", ["*/1," * 12_500, "0" * 50_000, "* " * 25_000, "@" + "x" * 50_000])
async def test_t09_what_is_far_too_long_is_refused_at_once(gateway: Gateway, cron: str) -> None:
    began = time.perf_counter()
    answer = await gateway.post(SCHEDULES, json={"name": "x", "cron": cron})

    assert time.perf_counter() - began < 0.1
    assert answer.json["errors"] == [{"path": "cron", "message": "longer than 256 characters"}]


async def test_what_takes_long_to_refuse_keeps_nobody_waiting(gateway: Gateway) -> None:
    crons = [{"cron": f"{number % 60} {number % 24} * * {number % 7}"} for number in range(4_000)]
    groups = [{"any": crons[start : start + 20]} for start in range(0, len(crons), 20)]
    nested = [{"any": groups[start : start + 20]} for start in range(0, len(groups), 20)]
    posting = asyncio.create_task(gateway.post(SCHEDULES, json={"name": "x", "any": nested}))
    answered = 0
    while not posting.done():
        await gateway.get("/healthz")
        answered += 1

    assert (await posting).status == 422
    assert answered > 10


async def test_texts_are_literal(gateway: Gateway) -> None:
    hostile = "{{ ''.__class__ }}{% for x in y %}"
    created = await create(
        gateway, interval="1h", target="sync", payload={"a": [hostile]}, once={"key": hostile}, overlap="queue"
    )
    run = (await gateway.post(f"{SCHEDULES}/nightly/run")).json

    assert created["payload"] == {"a": [hostile]}
    assert created["once"] == {"key": hostile}
    assert run["payload"] == {"a": [hostile]}


async def test_a_forced_schedule_runs_each_time_and_its_cadence_stays(gateway: Gateway) -> None:
    before = await create(gateway, cron="0 1 * * *", target="sync", payload={"a": 1}, enabled=False)
    await gateway.post(f"{SCHEDULES}/nightly/pause")

    answers = [await gateway.post(f"{SCHEDULES}/nightly/run") for _ in range(2)]
    runs = [answer.json for answer in answers]

    assert [answer.status for answer in answers] == [202, 202]
    assert runs[0]["id"] != runs[1]["id"]
    for run in runs:
        assert (run["schedule"], run["key"], run["requested_by"]) == ("nightly", None, "local")
        assert run["payload"] == {"a": 1}
        event = (await gateway.get(f"/api/v1/events/{run['event_ids'][0]}")).json
        assert (event["source"], event["type"], event["subject"]) == ("api", "gateway.manual", "nightly")
    after = (await gateway.get(f"{SCHEDULES}/nightly")).json
    assert (after["ticks"], after["last_tick_at"], after["updated_at"]) == (0, None, before["updated_at"])
    assert [one["id"] for one in (await gateway.get("/api/v1/runs?schedule=nightly")).json["items"]] == [
        runs[1]["id"],
        runs[0]["id"],
    ]


async def test_forcing_a_schedule_can_wait_for_the_end(tmp_path: Path) -> None:
    target = {**TARGET, "retry": {"attempts": 1}}
    async with running(tmp_path, {**SETTINGS, "targets": {"sync": target}}, dispatching=True) as gateway:
        await create(gateway)
        answer = await gateway.post(f"{SCHEDULES}/nightly/run?wait=10s")

        assert (answer.status, answer.json["state"]) == (200, "failed")


async def test_a_schedule_that_only_triggers_listen_to_has_nothing_to_run(gateway: Gateway) -> None:
    await create(gateway)
    await change(gateway, "nightly", definition=b'{"interval": "5m"}')

    answer = await gateway.post(f"{SCHEDULES}/nightly/run")

    assert answer.status == 422
    assert "no target" in answer.json["detail"]


async def test_pauses_are_shown_and_end(gateway: Gateway) -> None:
    await create(gateway)

    for_good = (await gateway.post(f"{SCHEDULES}/nightly/pause", json={"reason": "moving"})).json
    for_a_while = (await gateway.post(f"{SCHEDULES}/nightly/pause", json={"for": "48h"})).json
    resumed = (await gateway.post(f"{SCHEDULES}/nightly/resume")).json

    assert for_good["paused"] == {"by": "local", "reason": "moving", "until": None}
    assert (for_good["next_due"], for_good["upcoming"]) == (None, [])
    assert for_a_while["next_due"] > for_a_while["paused"]["until"]
    assert resumed["paused"] is None
    assert resumed["next_due"] < for_a_while["next_due"]


@pytest.mark.parametrize("body", [{"for": "0s"}, {"for": 5}, {"until": "x"}, {"reason": "x" * 1001}])
async def test_pauses_that_nobody_understands_change_nothing(gateway: Gateway, body: dict[str, Any]) -> None:
    await create(gateway)

    assert (await gateway.post(f"{SCHEDULES}/nightly/pause", json=body)).status == 422
    assert (await gateway.get(f"{SCHEDULES}/nightly")).json["paused"] is None


async def test_what_is_off_or_continuous_is_not_due(gateway: Gateway) -> None:
    off = await create(gateway, "off", **NIGHTLY, enabled=False)
    endless = await create(gateway, "endless", continuous=True, target="sync", pause="5s")

    assert (off["enabled"], off["next_due"], off["upcoming"]) == (False, None, [])
    assert (endless["continuous"], endless["next_due"]) == (True, None)
    assert (await gateway.get(f"{SCHEDULES}/upcoming")).json == {"items": [], "truncated": {}}


async def test_it_says_why_nothing_is_coming(gateway: Gateway) -> None:
    for name in ("off", "endless", "paused", "over", "lost", "due"):
        await create(gateway, name)
    await change(gateway, "off", enabled=False)
    await change(gateway, "paused", paused=True, pause_reason="maintenance")
    await change(gateway, "endless", definition=b'{"continuous": true, "target": "sync"}')
    await change(gateway, "over", definition=b'{"at": "2020-01-01T00:00:00Z", "target": "sync"}')
    await change(gateway, "lost", definition=b'{"interval": "5m", "target": "gone"}')

    waiting_for = {one["name"]: one["waiting_for"] for one in (await gateway.get(SCHEDULES)).json["items"]}

    assert waiting_for == {
        "off": "to be switched on",
        "paused": "to be resumed: maintenance",
        "endless": "the end of its last run",
        "over": "nothing: it is over, or never outside its window",
        "lost": "a configuration that has the target 'gone'",
        "due": None,
    }


async def test_a_definition_that_nobody_understands_any_more_breaks_only_itself(gateway: Gateway) -> None:
    await create(gateway, "a")
    for name, definition in (("b", b'{"cron": "of old"}'), ("c", b"nonsense"), ("d", b"5")):
        await create(gateway, name)
        await change(gateway, name, definition=definition)

    items = (await gateway.get(SCHEDULES)).json["items"]
    broken = (await gateway.get(f"{SCHEDULES}/b")).json
    upcoming = (await gateway.get(f"{SCHEDULES}/upcoming?hours=24")).json["items"]

    assert [one["name"] for one in items if one["waiting_for"]] == ["b", "c", "d"]
    assert broken["waiting_for"].startswith("its definition to be mended: cron: expected five fields")
    assert {one["schedule"] for one in upcoming} == {"a"}
    assert [(await gateway.post(f"{SCHEDULES}/{name}/run")).status for name in "bcd"] == [422] * 3
    assert (await gateway.ask("PUT", f"{SCHEDULES}/b", json=NIGHTLY)).status == 200
    assert (await gateway.ask("DELETE", f"{SCHEDULES}/c")).status == 204


async def test_skipped_ticks_are_shown_newest_first(gateway: Gateway) -> None:
    await create(gateway)
    first = datetime(2026, 1, 1, tzinfo=UTC)
    days = [first + timedelta(days=number) for number in range(25)]
    skips = [Skip(since=day, until=day, count=1, reason=f"day {number}") for number, day in enumerate(days)]

    def record(work: Work, wanted: Any) -> list[None]:
        record_skips(work, {"nightly": (None, skips)})
        return [None for _ in wanted]

    await gateway.edge.database.commit(record, None)
    skipped = (await gateway.get(f"{SCHEDULES}/nightly")).json["skipped"]

    assert [one["reason"] for one in skipped] == [f"day {number}" for number in range(24, 4, -1)]
    assert skipped[0] == {"from": "2026-01-25T00:00:00Z", "to": "2026-01-25T00:00:00Z", "count": 1, "reason": "day 24"}


@pytest.mark.parametrize("query", ["hours=0", "hours=8785", "hours=x", "hours=1.5", "hours=", "hours=1&hours=2", "x=1"])
async def test_hostile_queries_for_what_is_to_come_are_named(gateway: Gateway, query: str) -> None:
    answer = await gateway.get(f"{SCHEDULES}/upcoming?{query}")

    assert answer.status == 422
    assert [error["path"] for error in answer.json["errors"]] == [query.partition("=")[0]]


async def test_what_is_to_come_goes_by_time_and_is_cut_off_by_schedule(gateway: Gateway) -> None:
    await create(gateway, "often", cron="* * * * *", target="sync")
    await create(gateway, "seldom", cron="0 * * * *", timezone="Europe/Amsterdam", target="sync", jitter="10s")

    found = (await gateway.get(f"{SCHEDULES}/upcoming?hours=24")).json

    assert [one["at"] for one in found["items"]] == sorted(one["at"] for one in found["items"])
    assert [one["schedule"] for one in found["items"]].count("often") == 100
    assert found["truncated"] == {"often": 1340}
    seldom = [one for one in found["items"] if one["schedule"] == "seldom"]
    assert len(seldom) == 24
    for one in seldom:
        at, local, starts = (datetime.fromisoformat(one[part]) for part in ("at", "local", "starts_at"))
        assert at == local
        assert local.utcoffset() in (timedelta(hours=1), timedelta(hours=2))
        assert timedelta(0) <= starts - at < timedelta(seconds=10)


async def test_ten_thousand_schedules_keep_nobody_waiting(gateway: Gateway) -> None:
    definitions = [
        define(f"s{number:05}", Schedule.model_validate({"cron": f"{number % 60} {number % 24} * * *"}))
        for number in range(10_000)
    ]

    def written(work: Work, wanted: Any) -> list[None]:
        write_schedules(work, [Writing(definition=one, by="me", is_new=True) for one in definitions[:1]])
        row = dict(work.connection.execute(select(schedules)).mappings().one())
        _insert(work.connection, [{**row, "name": one.name, "definition": one.fields} for one in definitions[1:]])
        return [None for _ in wanted]

    await gateway.edge.database.commit(written, None)
    asking = asyncio.create_task(gateway.get(f"{SCHEDULES}/upcoming?hours=24"))
    waited = []
    while not asking.done():
        began = time.perf_counter()
        await gateway.get("/healthz")
        waited.append(time.perf_counter() - began)

    assert len((await asking).json["items"]) == 10_000
    assert max(waited) < 0.5


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> None:
    connection.execute(insert(schedules), rows)


@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        ("GET", "", "viewer"),
        ("POST", "", "admin"),
        ("GET", "/upcoming", "viewer"),
        ("GET", "/nightly", "viewer"),
        ("PUT", "/nightly", "admin"),
        ("DELETE", "/nightly", "admin"),
        ("POST", "/nightly/run", "operator"),
        ("POST", "/nightly/pause", "operator"),
        ("POST", "/nightly/resume", "operator"),
    ],
)
async def test_s13_the_role_comes_first(tmp_path: Path, method: str, path: str, least: str) -> None:
    roles = list(TOKENS)
    async with running(tmp_path, {**SETTINGS, "access": ACCESS}) as gateway:
        answers = {
            role: await gateway.ask(method, SCHEDULES + path, token=token, data=b"{") for role, token in TOKENS.items()
        }
        refused = [role for role, answer in answers.items() if answer.status == 403]

        assert refused == roles[: roles.index(least)]
        assert (await gateway.ask(method, SCHEDULES + path)).status == 401
