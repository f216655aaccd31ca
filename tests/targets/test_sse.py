"""Streams of events: what they are taken to say about the work, as it goes on and when it has ended."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import orjson
import pytest

from gateway.core.outcome import Outcome, PermanentFailure, RetryableFailure, Succeeded
from gateway.core.progress import Progress
from tests.target_answer import Answer
from tests.target_server import TargetServer
from tests.targets.calling import Attempt, attempt, configured, outcome_of

DONE: dict[str, Any] = {"ok": True, "message": "Full update sync completed."}


@pytest.fixture
async def server() -> AsyncIterator[TargetServer]:
    async with TargetServer() as server:
        yield server


def event(name: str, data: Any = "") -> bytes:
    text = data if isinstance(data, str) else orjson.dumps(data).decode()
    return f"event: {name}\n".encode() + b"".join(f"data: {line}\n".encode() for line in text.split("\n")) + b"\n"


def stream(*parts: bytes | float, **changes: Any) -> Answer:
    return Answer(headers={"Content-Type": "text/event-stream; charset=utf-8"}, body=parts, **changes)


async def heard(server: TargetServer, *parts: bytes | float, given: Attempt | None = None, **keys: Any) -> Outcome:
    """What comes of an attempt that is answered with a stream."""
    server.answer = stream(*parts)
    return await outcome_of(given, kind="sse", url=server.url, **keys)


# How a stream ends


@pytest.mark.parametrize("name", ["complete", "completed", "done", "finished", "success", "succeeded"])
@pytest.mark.parametrize("data", [DONE, {}, {"status": "completed"}, {"success": True}, "bye", "null", [1]])
async def test_the_usual_names_end_a_stream_well(server: TargetServer, name: str, data: Any) -> None:
    assert await heard(server, event(name, data)) == Succeeded(status=200)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("complete", {"ok": False}),
        ("complete", {"success": False}),
        ("done", {"status": "error"}),
        ("done", {"status": "FAILED"}),
        ("error", {"detail": "x"}),
        ("error", ""),
        ("failed", "no"),
        ("failure", {}),
        ("cancelled", {}),
        ("aborted", {}),
        ("error", {"ok": True}),
    ],
)
async def test_x03_an_event_that_tells_of_failure_is_one_that_may_be_tried_again(
    server: TargetServer, name: str, data: Any
) -> None:
    outcome = await heard(server, event(name, data), event("complete"))

    assert isinstance(outcome, RetryableFailure)
    assert outcome.reached
    assert outcome.status == 200
    assert f"reported {name}" in str(outcome.reason)


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (b": keepalive\n\n",),
        (event("step", {"status": "completed"}),),
        (event("step"), b"event: complete\ndata: {}\n"),
        (event("step"), b'event: complete\ndata: {"ok": tr'),
        (b"event: complete\n\n",),
        (event("message", "complete"),),
        (event("error_detail", {"message": "disk full"}),),
        (event("Complete"), event("complete "), event("completing")),
    ],
)
async def test_x03_a_stream_that_ends_without_saying_so_is_no_success(
    server: TargetServer, parts: tuple[bytes, ...]
) -> None:
    outcome = await heard(server, *parts)

    assert isinstance(outcome, RetryableFailure)
    assert outcome.reached
    assert "ended without an event" in str(outcome.reason)
    assert len(server.calls) == 1


@pytest.mark.parametrize("parts", [(), (event("step"),), (event("step"), b"event: complete\ndata: {")])
async def test_x03_a_stream_that_is_cut_off_is_not_opened_again(server: TargetServer, parts: tuple[bytes, ...]) -> None:
    server.answer = stream(*parts, 0.02, reset=True)

    outcome = await outcome_of(kind="sse", url=server.url)

    assert isinstance(outcome, RetryableFailure)
    assert not outcome.reached
    assert len(server.calls) == 1


async def test_what_comes_after_the_end_is_not_waited_for(server: TargetServer) -> None:
    assert await heard(server, event("complete", DONE), 30.0) == Succeeded(status=200)
    assert isinstance(await heard(server, event("error"), 30.0), RetryableFailure)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
async def test_x03_every_line_end_and_chunk_will_do(server: TargetServer, end: bytes) -> None:
    text = b"\xef\xbb\xbf" + event("step", "a") + event("complete", DONE)
    bytewise = text.replace(b"\n", end)

    assert await heard(server, *(bytewise[at : at + 1] for at in range(len(bytewise)))) == Succeeded(status=200)


async def test_x03_a_line_of_a_mebibyte_is_read_and_not_logged(server: TargetServer) -> None:
    given = attempt()
    outcome = await heard(server, event("complete", {"ok": True, "result": "x" * 2**20}), given=given)

    assert outcome == Succeeded(status=200)
    assert max(map(len, given.lines)) < 1100


async def test_x03_bytes_that_are_no_text_do_no_harm(server: TargetServer) -> None:
    given = attempt()
    hostile = b"event: st\xffep\ndata: a\x1b[31m\x00\xe2\x80\xae\ndata: forged: line\n\n"

    assert await heard(server, hostile, event("complete"), given=given) == Succeeded(status=200)
    assert "st\ufffdep: a\\x1b[31m\\x00\\u202e\\nforged: line" in given.lines


# Expressions


KEYS: dict[str, Any] = {"succeeded": "name == 'complete' and data.ok", "failed": "name == 'complete' and not data.ok"}


@pytest.mark.parametrize(
    ("data", "kind"), [({"ok": True}, Succeeded), ({"ok": False}, RetryableFailure), ({"ok": 0}, RetryableFailure)]
)
async def test_the_configuration_says_which_event_ends_it(server: TargetServer, data: Any, kind: type[Outcome]) -> None:
    outcome = await heard(server, event("error", {"ok": False}), event("complete", data), **KEYS)

    assert type(outcome) is kind


async def test_what_an_expression_cannot_be_asked_of_does_not_match_and_is_told_once(server: TargetServer) -> None:
    given = attempt()
    parts = [event("complete", "text"), event("complete", {}), event("complete", {"ok": True})]

    assert await heard(server, *parts, given=given, **KEYS) == Succeeded(status=200)
    told = [line for line in given.lines if "cannot be evaluated" in line]
    assert [line.split()[0] for line in told] == ["failed", "succeeded"]
    assert "data.ok is undefined" in told[0]


async def test_of_two_that_hold_failure_counts(server: TargetServer) -> None:
    outcome = await heard(server, event("end"), succeeded="name == 'end'", failed="name == 'end'")

    assert isinstance(outcome, RetryableFailure)


async def test_unnamed_events_are_messages_and_data_is_json_where_it_can_be(server: TargetServer) -> None:
    keys: dict[str, Any] = {
        "succeeded": "name == 'message' and data == '[DONE]'",
        "warn": "data is mapping and data.n == 1",
    }

    outcome = await heard(server, b'data: {"n":\ndata: 1}\n\ndata: [DONE]\n\n', **keys)

    assert outcome == Succeeded(status=200, reason='succeeded with warnings: {"n":\\n1}')


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ({"permanent": "response.json.code == 'config'"}, PermanentFailure),
        ({"permanent": "response.json.code == 'other'"}, RetryableFailure),
        ({"permanent": "response.json.missing == 1"}, RetryableFailure),
        ({"permanent": "'config' in response.text and response.status == 200"}, PermanentFailure),
        ({"retry": {"not_on": [200]}}, PermanentFailure),
    ],
)
async def test_a_failure_that_a_stream_reports_can_be_final(
    server: TargetServer, keys: dict[str, Any], kind: type[Outcome]
) -> None:
    assert type(await heard(server, event("error", {"code": "config"}), **keys)) is kind


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"message": "no", "detail": "disk full"}, "no: disk full"),
        ({"error": "x", "detail": "x"}, "x"),
        ({"errors": [1]}, '{"errors":[1]}'),
        ({"message": 7}, '{"message":7}'),
        ("plain\ntext\x1b", "plain\\ntext\\x1b"),
        ({"message": "a\nb"}, "a\\nb"),
        ("x" * 5000, "x" * 300),
    ],
)
async def test_the_reason_is_what_the_event_says(server: TargetServer, data: Any, reason: str) -> None:
    outcome = await heard(server, event("error", data))

    assert outcome.reason == f"the target reported error: {reason}"


async def test_a_name_without_end_is_cut(server: TargetServer) -> None:
    outcome = await heard(server, event("x" * 10_000, "no"), failed="name != ''")

    assert outcome.reason == f"the target reported {'x' * 100}: no"


async def test_the_output_is_of_the_event_that_ended_it(server: TargetServer) -> None:
    output = {
        "devices": "{{ data.result.devices }}",
        "by": "{{ payload.site }}",
        "event": "{{ name }}",
        "all": "{{ response.json }}",
    }
    data = {"ok": True, "result": {"devices": 12}}

    outcome = await heard(server, event("step", {"result": {"devices": 3}}), event("complete", data), output=output)

    assert isinstance(outcome, Succeeded)
    assert outcome.output == {"devices": 12, "by": "ams", "event": "complete", "all": data}


async def test_an_output_that_cannot_be_kept_is_no_failure(server: TargetServer) -> None:
    keys: dict[str, Any] = {"output": "{{ data.missing }}", "warn": "name == 'hint'"}
    outcome = await heard(server, event("hint", "mind"), event("complete", DONE), **keys)

    assert isinstance(outcome, Succeeded)
    assert str(outcome.reason).startswith("succeeded with warnings: mind; its output was not kept: ")


# Warnings, progress, the log


async def test_warnings_are_told_of_with_the_success(server: TargetServer) -> None:
    given = attempt()
    keys: dict[str, Any] = {"warn": "name == 'warning' or (name == 'complete' and not data.perfect)"}
    parts = [event("warning", {"message": f"disk {number}"}) for number in range(7)]
    end = event("complete", {"ok": True, "message": "done", "perfect": False})

    outcome = await heard(server, *parts, end, given=given, **keys)

    told = "disk 0; disk 1; disk 2; disk 3; disk 4; and 3 more"
    assert outcome == Succeeded(status=200, reason=f"succeeded with warnings: {told}")
    assert 'warning: {"message":"disk 6"}' in given.lines


async def test_events_named_warning_are_warnings(server: TargetServer) -> None:
    outcome = await heard(server, event("warning", "mind"), event("complete"))

    assert outcome == Succeeded(status=200, reason="succeeded with warnings: mind")


@pytest.mark.parametrize(
    ("warnings", "told"),
    [
        (["disk full", {"message": "slow"}, 7], "disk full; slow; 7"),
        ("disk full", "disk full"),
        ({"disk": "full"}, "done"),
        ([], None),
        ("", None),
        (None, None),
        (["a\nb", "x" * 1000, *"cdefg"], f"a\\nb; {'x' * 300}; c; d; e; and 2 more"),
    ],
)
async def test_what_warn_gives_is_the_warning(server: TargetServer, warnings: Any, told: str | None) -> None:
    end = event("complete", {"message": "done", "warnings": warnings})

    outcome = await heard(server, end, warn="name == 'complete' and data.warnings")

    assert outcome == Succeeded(status=200, reason=told and f"succeeded with warnings: {told}")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"progress": {"current": 1, "total": 4, "percent": 25.0}}, Progress(current=1, total=4, percent=25.0)),
        ({"progress": {"percent": 0}}, Progress(percent=0)),
        ({"progress": {"current": 3, "total": None, "more": "x"}}, Progress(current=3)),
        ({"progress": {"current": "3", "total": True, "percent": [1]}}, None),
        ({"progress": {}}, None),
        ({"progress": "half"}, None),
        ({"current": 1}, None),
        ("text", None),
        ('{"progress": {"percent": NaN}}', None),
    ],
)
async def test_progress_is_what_an_event_says_of_it(server: TargetServer, data: Any, told: Progress | None) -> None:
    given = attempt()
    await heard(server, event("step", data), event("complete"), given=given)

    assert given.told == ([told] if told else [])
    assert not [line for line in given.lines if "cannot be evaluated" in line]


@pytest.mark.parametrize(
    "progress",
    [
        {"current": "{{ data.done }}", "total": "{{ data.of }}"},
        "{'current': data.done, 'total': data.of}",
        "{{ {'current': data.done, 'total': data.of} }}",
    ],
)
async def test_progress_can_be_put_together(server: TargetServer, progress: Any) -> None:
    given = attempt()
    parts = [event("step", {"done": 2, "of": 5}), event("step", {}), event("step", {"done": 3, "of": 5})]
    await heard(server, *parts, event("complete"), given=given, progress=progress)

    assert given.told == [Progress(current=2, total=5), Progress(current=3, total=5)]
    assert len([line for line in given.lines if line.startswith("progress cannot be evaluated")]) == 1


async def test_the_log_has_a_line_for_each_event(server: TargetServer) -> None:
    given = attempt()
    await heard(server, b": keepalive\n\n", event("step", {"n": 1}), event("complete", "bye"), given=given)

    assert given.lines[0].startswith(f"GET {server.url}: 200 OK after ")
    assert given.lines[1:] == ['step: {"n":1}', "complete: bye"]


# What is no stream


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(status=401, body=b'{"detail":"Invalid API key. 4 attempts remaining."}'), PermanentFailure),
        (Answer(status=400), PermanentFailure),
        (Answer(status=307, headers={"Location": "/elsewhere"}), PermanentFailure),
        (Answer(status=502), RetryableFailure),
        (Answer(status=503, headers={"Content-Type": "text/event-stream"}, body=event("complete")), RetryableFailure),
        (Answer(status=303, headers={"Content-Type": "text/event-stream"}, body=event("complete")), PermanentFailure),
        (Answer(status=200, body=event("complete")), RetryableFailure),
        (Answer(status=200, headers={"Content-Type": "text/event-streams"}, body=event("complete")), RetryableFailure),
        (Answer.of_json(DONE), RetryableFailure),
        (Answer(status=204), RetryableFailure),
    ],
)
async def test_x03_an_answer_that_is_no_stream_is_judged_by_its_status(
    server: TargetServer, answer: Answer, kind: type[Outcome]
) -> None:
    server.answer, given = answer, attempt()

    outcome = await outcome_of(given, kind="sse", url=server.url)

    assert type(outcome) is kind
    assert outcome.status == answer.status
    assert given.lines[0].startswith(f"GET {server.url}: {answer.status} ")
    assert len(server.calls) == 1


async def test_a_target_that_asks_for_time_is_given_it(server: TargetServer) -> None:
    server.answer = Answer(status=429, headers={"Retry-After": "300"})

    outcome = await outcome_of(kind="sse", url=server.url)

    assert isinstance(outcome, RetryableFailure)
    assert outcome.retry_after == timedelta(minutes=5)
    assert not outcome.reached


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ({"permanent": "response.json.reason == 'proxmox'"}, PermanentFailure),
        ({"retry": {"not_on": [502]}}, PermanentFailure),
        ({"permanent": "false"}, RetryableFailure),
    ],
)
async def test_the_configuration_may_know_better(server: TargetServer, keys: Any, kind: type[Outcome]) -> None:
    server.answer = Answer.of_json({"reason": "proxmox"}, status=502)

    assert type(await outcome_of(kind="sse", url=server.url, **keys)) is kind


# What is sent


async def test_it_may_be_asked_whether_it_is_ready(server: TargetServer) -> None:
    ready = {"url": f"{server.url}/active", "when": "not response.json.active"}
    keys: dict[str, Any] = {"ready": ready, "headers": {"X-Key": "hush"}}
    server.script.extend([Answer.of_json({"active": True}), Answer.of_json({"active": False})])

    busy = await heard(server, event("complete"), **keys)
    free = await heard(server, event("complete"), **keys)

    assert busy == RetryableFailure(reason="not ready: answered 200 OK", status=200, reached=False)
    assert free == Succeeded(status=200)
    assert [call.path for call in server.calls] == ["/active", "/active", "/"]
    assert server.calls[0].headers["X-Key"] == "hush"


async def test_a_question_that_cannot_be_put_is_final(server: TargetServer) -> None:
    outcome = await heard(server, event("complete"), ready={"url": f"{server.url}/{{{{ payload.missing }}}}"})

    assert isinstance(outcome, PermanentFailure)
    assert not server.calls


async def test_by_default_it_gets_an_event_stream(server: TargetServer) -> None:
    await heard(server, event("complete"))

    [call] = server.calls
    assert call.method == "GET"
    assert call.headers.getall("Accept") == ["text/event-stream"]
    assert call.idempotency_key == attempt().run_id
    assert call.body == b""


async def test_it_sends_what_it_is_told_to(server: TargetServer) -> None:
    headers = {"accept": "text/event-stream, application/json", "X-Key": "{{ payload.site }}"}
    await heard(server, event("complete"), method="POST", headers=headers, json={"id": "{{ payload.device.id }}"})

    [call] = server.calls
    assert (call.method, call.json) == ("POST", {"id": 7})
    assert call.headers.getall("Accept") == ["text/event-stream, application/json"]
    assert call.headers["X-Key"] == "ams"


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"url": "ftp://host/"},
        {"url": "http://x/", "succeeded": "name =="},
        {"url": "http://x/", "succeeded": "payload.site == 1"},
        {"url": "http://x/", "failed": "response.status == 200"},
        {"url": "http://x/", "progress": "data."},
        {"url": "http://x/", "progress": {"current": "{{ payload }}"}},
        {"url": "http://x/", "warn": "{{ name }}"},
        {"url": "http://x/", "warn": None},
        {"url": "http://x/", "output": "{{ nonsense }}"},
        {"url": "http://x/", "idle_timeout": "0s"},
        {"url": "http://x/", "progress_timeout": "-1s"},
        {"url": "http://x/", "first_byte_timeout": 5},
        {"url": "http://x/", "max_event": 0},
        {"url": "http://x/", "max_bytes": "lots"},
        {"url": "http://x/", "success": {"status": 200}},
    ],
)
def test_a_section_that_makes_no_sense_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        configured("sse", **keys)


async def test_only_what_its_templates_use_is_loaded(server: TargetServer) -> None:
    keys: dict[str, Any] = {
        "headers": {"X": "{{ payload.site }}"},
        "output": "{{ data.id ~ run.id }}",
        "permanent": "response.json",
    }
    async with configured("sse", url="http://x/", **keys).open() as target:
        assert target.names == {"payload", "run"}
