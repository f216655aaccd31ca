"""What an answer means, and that no answer harms the gateway."""

import gzip
import zlib
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest

from gateway.core.outcome import Outcome, PermanentFailure, RetryableFailure, Succeeded
from gateway.targets.answer import MAX_OUTPUT
from gateway.targets.exchange import MAX_ANSWER
from tests.target_answer import Answer
from tests.target_server import TargetServer
from tests.targets.calling import attempt, call, configured, outcome_of, raw_server

MIB = 2**20


@pytest.fixture
async def server() -> AsyncIterator[TargetServer]:
    async with TargetServer() as server:
        yield server


async def judged(server: TargetServer, answer: Answer, **keys: Any) -> Outcome:
    server.answer = answer
    return await outcome_of(url=server.url, **keys)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_2xx_is_success(server: TargetServer, status: int) -> None:
    assert await judged(server, Answer(status=status)) == Succeeded(status=status)


@pytest.mark.parametrize(
    ("patterns", "status", "succeeds"),
    [
        ("2xx", 204, True),
        ("2XX", 404, False),
        (404, 404, True),
        (404, 200, False),
        (["2xx", 404], 404, True),
        ([200, "303"], 303, True),
        ("5xx", 503, True),
    ],
)
async def test_other_statuses_can_be_success(
    server: TargetServer, patterns: object, status: int, succeeds: bool
) -> None:
    outcome = await judged(server, Answer(status=status), success={"status": patterns})

    assert isinstance(outcome, Succeeded) is succeeds


@pytest.mark.parametrize(
    ("when", "kind"),
    [
        ("response.json.id is defined", Succeeded),
        ("response.json.id == payload.device.id", Succeeded),
        ("response.headers['x-state'] == 'done' and response.status == 200", Succeeded),
        ("'\"id\"' in response.text", Succeeded),
        ("response.json.error is defined", RetryableFailure),
        ("response.json.missing == 1", RetryableFailure),
        ("response.json.id + 'x'", RetryableFailure),
    ],
)
async def test_when_decides_on_a_status_of_success(server: TargetServer, when: str, kind: type[Outcome]) -> None:
    answer = Answer(headers={"X-State": "done"}, body=b'{"id": 7}')

    outcome = await judged(server, answer, success={"when": when})

    assert type(outcome) is kind
    if isinstance(outcome, RetryableFailure):
        assert outcome.reached
        assert outcome.status == 200
        assert "success.when cannot be evaluated" in str(outcome.reason) or when in str(outcome.reason)


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"\xff\xfe\0", b'{"id": NaN}', b"[" * 100_000, b'{"id": 1', b'{"id": "\\u0000"}', b"null"],
)
async def test_a_body_that_is_no_json_has_no_json(server: TargetServer, body: bytes) -> None:
    outcome = await judged(server, Answer(body=body), success={"when": "response.json.id is defined"})

    assert isinstance(outcome, RetryableFailure)


@pytest.mark.parametrize(
    ("status", "keys", "kind"),
    [
        (510, {"permanent": "response.status == 510"}, PermanentFailure),
        (503, {"permanent": "response.status == 510"}, RetryableFailure),
        (404, {"permanent": "response.status == 510"}, PermanentFailure),
        (200, {"permanent": "true"}, Succeeded),
        (200, {"success": {"when": "false"}, "permanent": "response.json.final"}, PermanentFailure),
        (503, {"permanent": "response.json.nowhere.deep"}, RetryableFailure),
        (404, {"retry": {"on": [404]}}, RetryableFailure),
        (404, {"retry": {"on": [404]}, "permanent": "response.json.final"}, PermanentFailure),
        (302, {"retry": {"on": [302]}}, RetryableFailure),
        (503, {"retry": {"not_on": [503]}}, PermanentFailure),
        (200, {"success": {"when": "false"}, "retry": {"not_on": [200]}}, PermanentFailure),
    ],
)
async def test_who_decides_whether_a_failure_is_permanent(
    server: TargetServer, status: int, keys: dict[str, Any], kind: type[Outcome]
) -> None:
    outcome = await judged(server, Answer(status=status, body=b'{"final": true}'), **keys)

    assert type(outcome) is kind


async def test_an_expression_that_breaks_is_named(server: TargetServer) -> None:
    outcome = await judged(server, Answer(status=503, body=b"{}"), permanent="response.json.code > 4")

    assert "permanent cannot be evaluated" in str(outcome.reason)


async def test_output_is_kept(server: TargetServer) -> None:
    output = {"process": "{{ response.json.id }}", "by": "{{ payload.site }}", "at": "{{ response.headers.date }}"}

    outcome = await judged(server, Answer(body=b'{"id": 7}'), output=output)

    assert isinstance(outcome, Succeeded)
    assert outcome.output["process"] == 7
    assert outcome.output["by"] == "ams"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"x" * MAX_OUTPUT, "the limit is 65536"),
        (b"a\0b", "NUL"),
    ],
)
async def test_an_output_that_cannot_be_kept_is_no_failure_but_said(
    server: TargetServer, body: bytes, said: str
) -> None:
    outcome = await judged(server, Answer(body=body), output="{{ response.text }}")

    assert isinstance(outcome, Succeeded)
    assert outcome.output is None
    assert said in str(outcome.reason)


async def test_an_output_of_a_field_that_did_not_come_is_no_failure_but_said(server: TargetServer) -> None:
    outcome = await judged(server, Answer(body=b"{}"), output={"id": "{{ response.json.id }}"})

    assert isinstance(outcome, Succeeded)
    assert "its output was not kept" in str(outcome.reason)


async def test_an_output_just_small_enough_is_kept(server: TargetServer) -> None:
    outcome = await judged(server, Answer(body=b"x" * (MAX_OUTPUT - 2)), output="{{ response.text }}")

    assert isinstance(outcome, Succeeded)
    assert len(outcome.output) == MAX_OUTPUT - 2


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity"])
async def test_an_answer_is_read_within_its_budget(server: TargetServer, encoding: str) -> None:
    """100 MiB, packed into a hundred KiB or not, leave no trace in memory."""
    zeros = bytes(MIB)
    bodies = {
        "gzip": (gzip.compress(zeros * 100),),
        "deflate": (zlib.compress(zeros * 100),),
        "identity": (zeros,) * 100,
    }
    server.answer = Answer(headers={"Content-Encoding": encoding}, body=bodies[encoding])
    given, memory = attempt(), psutil.Process().memory_info().rss

    async with configured(url=server.url, success={"when": "response.text | length <= 1048576"}).open() as target:
        outcome = await call(target, given)
        grown = psutil.Process().memory_info().rss - memory

        server.answer = Answer()
        assert isinstance(await call(target), Succeeded)

    assert isinstance(outcome, Succeeded)
    assert grown < 32 * MIB
    assert "… and more" in given.lines[0]


async def test_a_failure_says_that_the_answer_was_cut(server: TargetServer) -> None:
    answer = Answer(body=b'{"id": 7, "rest": "' + b"x" * MAX_ANSWER + b'"}')

    outcome = await judged(server, answer, success={"when": "response.json.id is defined"})

    assert "too long" in str(outcome.reason)


async def test_the_log_tells_of_the_call_and_its_answer(server: TargetServer) -> None:
    server.answer = Answer(status=503, body=b"out of \x1b[31mslots\0\r\n" + b"x" * 10_000)
    given = attempt()

    await outcome_of(given, url=server.url + "/run?token=hush&site=ams")

    [line] = given.lines
    assert line.startswith(f"POST {server.url}/run?token=***&site=ams: 503 Service Unavailable after ")
    assert "out of" in line
    assert "\x1b" not in line
    assert "\0" not in line
    assert len(line) < 3000


async def test_a_header_that_is_no_text_harms_nothing() -> None:
    async with raw_server(b"HTTP/1.1 200 OK\r\nX-Name: \xff\xfe\r\nContent-Length: 0\r\n\r\n") as url:
        keys: dict[str, Any] = {"url": url, "output": "{{ response.headers['x-name'] }}"}
        outcome = await outcome_of(**keys, success={"when": "response.headers['x-name'] + 1"})
        assert str(outcome.reason).encode()
        assert isinstance(outcome, RetryableFailure)

        assert isinstance(await outcome_of(**keys), Succeeded)
