"""Jobs that go on after the call that started them: each is started once, and followed to its end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from gateway.core import strict_json
from gateway.core.outcome import Cancelled, Outcome, PermanentFailure, RetryableFailure, Succeeded
from gateway.core.progress import Progress
from tests.target_answer import Answer
from tests.target_server import TargetServer
from tests.targets.calling import Attempt, attempt, call, configured, raw_server
from tests.targets.jobs import Job, Jobs, followed
from tests.waiting import until

AGAIN = {"status": 201, "headers": {}, "json": {"id": "job-1"}, "text": ""}


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture
async def server(jobs: Jobs) -> AsyncIterator[TargetServer]:
    async with TargetServer(jobs.answer) as server:
        yield server


async def outcome_of(server: TargetServer, given: Attempt | None = None, **changes: Any) -> Outcome:
    async with configured(**followed(server.url, **changes)).open() as target:
        return await call(target, given or attempt())


def asked(server: TargetServer, method: str) -> list[str]:
    return [one.path.partition("?")[0] for one in server.calls if one.method == method]


async def has_begun(given: Attempt) -> None:
    async def is_following() -> bool:
        return given.following

    await until(is_following, expected=True, what="the job has begun")


async def test_a_start_is_no_success_but_the_end_of_the_job_is(jobs: Jobs, server: TargetServer) -> None:
    jobs.course = ["created", "running", "running", "done"]
    given = attempt()

    outcome = await outcome_of(
        server, given, output={"job": "{{ started.json.id }}", "was": "{{ response.json.state }}"}
    )

    assert isinstance(outcome, Succeeded)
    assert outcome.output == {"job": "job-1", "was": "done"}
    assert not given.following
    assert len(jobs.all) == 1


async def test_the_handle_is_kept_before_anything_else_happens(server: TargetServer) -> None:
    """Before the first look, and with what later looks need."""
    given, seen = attempt(), []

    async def checkpoint(handle: Any) -> None:
        seen.append((handle, asked(server, "GET")))
        given.handle, given.following = handle, True

    given.checkpoint = checkpoint  # type: ignore[method-assign]
    await outcome_of(server, given)

    [(handle, looks)] = seen
    assert handle["started"]["json"] == {"id": "job-1"}
    assert looks == []


async def test_a_job_that_is_going_on_is_followed_and_nothing_is_started(jobs: Jobs, server: TargetServer) -> None:
    await outcome_of(server)
    jobs.all[0].states = ["running", "done"]

    outcome = await outcome_of(server, attempt(number=2, handle={"started": AGAIN}, following=True))

    assert isinstance(outcome, Succeeded)
    assert asked(server, "POST") == ["/jobs"]


async def test_a_job_that_failed_says_so_and_may_be_tried_again(jobs: Jobs, server: TargetServer) -> None:
    jobs.course = ["failed"]
    given = attempt()

    outcome = await outcome_of(server, given, poll={"reason": "{{ response.json.why }} is full"})

    assert isinstance(outcome, RetryableFailure)
    assert outcome.reason == "the job failed: disk is full"
    assert outcome.reached
    assert not given.following
    assert any("disk" in line for line in given.lines)


async def test_an_expression_says_which_failures_of_a_job_are_final(jobs: Jobs, server: TargetServer) -> None:
    jobs.course = ["failed"]

    outcome = await outcome_of(server, permanent="response.json.why == 'disk'")

    assert isinstance(outcome, PermanentFailure)


async def test_what_is_both_has_failed(jobs: Jobs, server: TargetServer) -> None:
    jobs.course = ["done"]

    outcome = await outcome_of(server, poll={"failed": "true"})

    assert isinstance(outcome, RetryableFailure)


async def test_a_refused_start_is_judged_as_any_answer_and_keeps_no_handle(server: TargetServer) -> None:
    server.script.append(Answer(status=412, body=b"already running"))
    given = attempt()

    outcome = await outcome_of(server, given, retry={"on": [412]})

    assert isinstance(outcome, RetryableFailure)
    assert (outcome.status, given.handle, given.following) == (412, None, False)


async def test_an_attempt_that_was_broken_off_finds_its_job_again(jobs: Jobs, server: TargetServer) -> None:
    """Its answer never came, so there is no handle; but the target knows who asked."""
    given = attempt(number=2)
    jobs.all = [Job("job-1", given.run_id, ["running", "done"])]

    outcome = await outcome_of(server, given)

    assert isinstance(outcome, Succeeded)
    assert asked(server, "POST") == []


async def test_what_cannot_be_found_is_started(jobs: Jobs, server: TargetServer) -> None:
    assert isinstance(await outcome_of(server, attempt(number=2)), Succeeded)
    assert asked(server, "GET")[0] == "/jobs"
    assert len(jobs.all) == 1


async def test_a_target_that_cannot_say_whether_the_job_is_there_gets_no_second_one(server: TargetServer) -> None:
    server.script.append(Answer(status=500))

    outcome = await outcome_of(server, attempt(number=2))

    assert isinstance(outcome, RetryableFailure)
    assert "not known" in str(outcome.reason)
    assert asked(server, "POST") == []


async def test_a_job_that_is_known_to_have_ended_is_not_found_again(jobs: Jobs, server: TargetServer) -> None:
    jobs.course = ["failed"]
    first = attempt()
    await outcome_of(server, first)
    jobs.course = ["done"]

    outcome = await outcome_of(server, attempt(number=2, handle=first.handle))

    assert isinstance(outcome, Succeeded)
    assert len(jobs.all) == 2


async def test_looks_that_fail_are_borne_up_to_a_limit(jobs: Jobs, server: TargetServer) -> None:
    broken = Answer(status=502, body=b"<html>bad gateway")
    jobs.troubles = [broken, broken, Answer(body=b"{}")]

    assert isinstance(await outcome_of(server, poll={"errors": 3}), Succeeded)

    jobs.troubles = [broken] * 3
    given = attempt(run_id="0198c0de-0000-7000-8000-000000000002")
    outcome = await outcome_of(server, given, poll={"errors": 2})
    assert isinstance(outcome, RetryableFailure)
    assert (outcome.status, given.following) == (502, True)


async def test_a_target_that_goes_away_meanwhile_is_asked_again(jobs: Jobs, server: TargetServer) -> None:
    jobs.course = ["running", "running", "done"]
    given = attempt()

    async def vanish() -> None:
        await has_begun(given)
        await server.stop()
        await asyncio.sleep(0.1)
        await server.start()

    outcome, _ = await asyncio.gather(outcome_of(server, given, poll={"errors": 100}), vanish())

    assert isinstance(outcome, Succeeded)
    assert len(jobs.all) == 1


async def test_a_target_that_wants_to_be_left_alone_is(jobs: Jobs, server: TargetServer) -> None:
    jobs.troubles = [Answer(status=429, headers={"Retry-After": "1"})]

    await outcome_of(server)

    looks = [one.at for one in server.calls if one.path == "/jobs/job-1"]
    assert looks[1] - looks[0] >= 1


async def test_a_job_that_is_gone_is_followed_no_longer(jobs: Jobs, server: TargetServer) -> None:
    jobs.troubles = [Answer(status=404)] * 10
    given = attempt()

    outcome = await outcome_of(server, given, poll={"errors": 2})

    assert isinstance(outcome, RetryableFailure)
    assert "gone" in str(outcome.reason)
    assert (given.handle, given.following) == (None, False)


async def test_a_retry_asks_to_go_on_instead_of_a_new_start(jobs: Jobs, server: TargetServer) -> None:
    jobs.course = ["failed"]
    resume = {"method": "PUT", "url": f"{server.url}/jobs/{{{{ started.json.id }}}}/resume", "json": [{}]}
    first = attempt()
    await outcome_of(server, first, resume=resume)

    second = attempt(number=2, handle=first.handle)
    outcome = await outcome_of(server, second, resume=resume)

    assert isinstance(outcome, Succeeded)
    assert asked(server, "PUT") == ["/jobs/job-1/resume"]
    assert asked(server, "POST") == ["/jobs"]
    assert next(one.json for one in server.calls if one.method == "PUT") == [{}]


async def test_a_job_that_somebody_else_got_going_again_is_only_followed(jobs: Jobs, server: TargetServer) -> None:
    jobs.course = ["failed"]
    resume = {"method": "PUT", "url": f"{server.url}/jobs/{{{{ started.json.id }}}}/resume"}
    first = attempt()
    await outcome_of(server, first, resume=resume)
    jobs.all[0].states = ["running", "running", "done"]

    second = attempt(number=2, handle=first.handle)
    outcome = await outcome_of(server, second, resume=resume)

    assert isinstance(outcome, Succeeded)
    assert asked(server, "PUT") == []


async def test_a_job_that_cannot_be_resumed_is_started_anew(jobs: Jobs, server: TargetServer) -> None:
    jobs.course = ["failed"]
    resume = {"method": "PUT", "url": f"{server.url}/jobs/{{{{ started.json.id }}}}/no-such-thing"}
    first = attempt()
    await outcome_of(server, first, resume=resume)
    jobs.course = ["done"]

    outcome = await outcome_of(server, attempt(number=2, handle=first.handle), resume=resume)

    assert isinstance(outcome, Succeeded)
    assert len(jobs.all) == 2


async def test_a_job_that_was_started_instead_is_found_though_the_answer_was_lost(
    jobs: Jobs, server: TargetServer
) -> None:
    jobs.course = ["failed"]
    resume = {"method": "PUT", "url": f"{server.url}/jobs/{{{{ started.json.id }}}}/no-such-thing"}
    first = attempt()
    await outcome_of(server, first, resume=resume)
    jobs.all.append(Job("job-2", first.run_id, ["running", "done"]))

    outcome = await outcome_of(server, attempt(number=3, handle=first.handle), resume=resume)

    assert isinstance(outcome, Succeeded)
    assert asked(server, "POST") == ["/jobs"]


async def test_who_cancels_ends_the_job_too(jobs: Jobs, server: TargetServer) -> None:
    jobs.course = ["running"]
    given = attempt()
    calling = asyncio.create_task(outcome_of(server, given))
    await has_begun(given)

    given.cancelling = True
    calling.cancel()

    with pytest.raises(asyncio.CancelledError):
        await calling
    assert asked(server, "PUT") == ["/jobs/job-1/abort"]
    assert not given.following


async def test_a_call_that_is_only_broken_off_leaves_the_job_alone(jobs: Jobs, server: TargetServer) -> None:
    jobs.course = ["running"]
    given = attempt()
    calling = asyncio.create_task(outcome_of(server, given))
    await has_begun(given)

    calling.cancel()

    with pytest.raises(asyncio.CancelledError):
        await calling
    assert asked(server, "PUT") == []
    assert given.following


async def test_an_attempt_of_a_cancelled_run_does_nothing_but_cancel_its_job(jobs: Jobs, server: TargetServer) -> None:
    jobs.course = ["running"]
    await outcome_of(server, None, poll={"succeeded": "true"})

    given = attempt(number=2, handle={"started": AGAIN}, following=True, cancelling=True)
    outcome = await outcome_of(server, given)

    assert isinstance(outcome, Cancelled)
    assert not given.following
    assert asked(server, "PUT") == ["/jobs/job-1/abort"]


async def test_a_cancellation_that_nobody_confirms_leaves_the_handle(jobs: Jobs, server: TargetServer) -> None:
    jobs.course, jobs.cancels = ["running"], False
    await outcome_of(server, None, poll={"succeeded": "true"})

    given = attempt(number=2, handle={"started": AGAIN}, following=True, cancelling=True)
    await outcome_of(server, given)

    assert given.following
    assert any("not been confirmed" in line for line in given.lines)


@pytest.mark.parametrize("url", ["{url}/jobs", "{{{{ payload.nonsense }}}}"])
async def test_a_cancellation_that_gets_no_answer_is_one_all_the_same(
    jobs: Jobs, server: TargetServer, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """The call was cancelled, and not too late; the log says what is not known of the job."""
    monkeypatch.setattr("gateway.targets.follow.CANCEL_PATIENCE", 0.1)
    jobs.course = ["running"]
    given = attempt()
    cancel = {"method": "PUT", "url": url.format(url=server.url)}
    calling = asyncio.create_task(outcome_of(server, given, cancel=cancel))
    await has_begun(given)
    server.answer = Answer(delay=60)

    given.cancelling = True
    calling.cancel()

    with pytest.raises(asyncio.CancelledError):
        await calling
    assert given.following
    assert given.lines[-2].startswith("cancel: ")
    assert "not been confirmed" in given.lines[-1]


async def test_progress_is_told(server: TargetServer) -> None:
    given = attempt()

    await outcome_of(server, given, poll={"progress": "{{ response.json.progress }}"})

    assert given.told[0] == Progress(current=1, total=4)


async def test_a_target_that_is_not_ready_is_not_called_and_counts_as_not_reached(
    jobs: Jobs, server: TargetServer
) -> None:
    jobs.is_ready = False
    ready = {"url": f"{server.url}/ready"}

    outcome = await outcome_of(server, ready=ready)

    assert isinstance(outcome, RetryableFailure)
    assert not outcome.reached
    assert asked(server, "POST") == []

    outcome = await outcome_of(server, ready={**ready, "when": "response.json.ready == false"})
    assert isinstance(outcome, Succeeded)


@pytest.mark.parametrize(("status", "kind"), [(401, PermanentFailure), (503, RetryableFailure)])
async def test_what_a_target_that_is_not_ready_answers_is_obeyed(
    server: TargetServer, status: int, kind: type[Outcome]
) -> None:
    server.script.append(Answer(status=status, headers={"Retry-After": "60"}))

    outcome = await outcome_of(server, ready={"url": f"{server.url}/ready"}, retry={"not_on": [401]})

    assert isinstance(outcome, kind)
    assert outcome.status == status
    assert getattr(outcome, "retry_after", timedelta(minutes=1)) == timedelta(minutes=1)


async def test_a_plain_call_may_ask_first_too(jobs: Jobs, server: TargetServer) -> None:
    jobs.is_ready = False
    async with configured(url=f"{server.url}/jobs", ready={"url": f"{server.url}/ready"}).open() as target:
        outcome = await call(target)

    assert isinstance(outcome, RetryableFailure)
    assert "not ready" in str(outcome.reason)


async def test_headers_of_the_target_go_to_its_own_host_only(server: TargetServer) -> None:
    """A token for one host is nothing that another should see; and only the call itself is idempotent."""
    async with TargetServer(Answer(body=b'{"state": "done"}')) as elsewhere:
        headers = {"Authorization": "Bearer s3cret", "Content-Type": "application/json"}
        await outcome_of(server, headers=headers, ready={"url": f"{server.url}/ready"}, poll={"url": elsewhere.url})

    [look] = elsewhere.calls
    first, start = server.calls
    assert "Authorization" not in look.headers
    assert first.headers["Authorization"] == "Bearer s3cret"
    assert (first.idempotency_key, start.idempotency_key is None) == (None, False)
    assert first.headers["X-Gateway-Run-Id"] == start.headers["X-Gateway-Run-Id"]


async def test_headers_that_are_no_text_do_not_keep_the_handle_from_being_stored() -> None:
    answer = b'HTTP/1.1 201 Created\r\nX-By: caf\xe9 \xff\r\nContent-Length: 14\r\n\r\n{"id":"job-1"}'
    given = attempt()
    async with raw_server(answer) as url:
        keys = followed(url, poll={"url": url, "succeeded": "response.json.id == 'job-1'"})
        async with configured(**keys).open() as target:
            await call(target, given)

    assert given.handle is not None
    kept = orjson.loads(strict_json.dump(dict(given.handle)))["started"]["headers"]
    assert kept["x-by"] == "caf\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER}"


async def test_an_enormous_answer_to_the_start_is_not_kept_whole(server: TargetServer) -> None:
    server.script.append(Answer(status=201, body=b'"' + b"x" * 200_000 + b'"'))
    given = attempt()

    outcome = await outcome_of(server, given)

    assert isinstance(outcome, PermanentFailure)
    assert "started" in str(outcome.reason)
    assert len(str(given.handle)) < 1000


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"cancel": {"url": "http://h"}}, "cancel needs poll"),
        ({"resume": {"url": "http://h"}}, "resume needs poll"),
        ({"poll": {"url": "http://h"}}, "succeeded"),
        ({"poll": {"url": "http://h", "succeeded": "started.json", "every": "0s"}}, "every"),
        ({"poll": {"url": "http://h", "succeeded": "nonsense == 1"}}, "nonsense"),
        ({"poll": {"url": "file:///etc/passwd", "succeeded": "true"}}, "url"),
        ({"poll": {"url": "http://h", "succeeded": "true", "errors": -1}}, "errors"),
        ({"poll": {"url": "http://h", "succeeded": "true", "find": {"url": "http://h"}}}, "id"),
        ({"ready": {"url": "http://h", "headers": {"X": "a\r\nb"}}}, "line break"),
    ],
)
def test_a_slip_in_the_configuration_is_named(keys: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        configured(url="http://h", **keys)


async def test_a_deadline_ends_the_following_but_not_the_job(jobs: Jobs, server: TargetServer) -> None:
    jobs.course = ["running"]
    given = attempt()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await outcome_of(server, given)

    assert given.following
    assert asked(server, "PUT") == []
