"""What the gateway relies on, whatever the kind of a target."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.core.errors import TemplateError
from gateway.core.outcome import PermanentFailure, RetryableFailure, Succeeded
from gateway.targets import KINDS, open_targets
from tests.servers.ports import free_port
from tests.target_answer import Answer
from tests.target_server import TargetServer
from tests.targets.calling import attempt, call, configured

WORKING: dict[str, Any] = {
    "http": lambda server: {"url": server.url},
    "sse": lambda server: {"url": f"{server.url}/stream"},
    "command": lambda _: {"argv": ["true"]},
}
FAILING: dict[str, Any] = {
    "http": lambda server: {"url": f"{server.url}/fail"},
    "sse": lambda server: {"url": f"{server.url}/fail"},
    "command": lambda _: {"argv": ["false"]},
}
BROKEN: dict[str, Any] = {
    "http": lambda _: {"url": f"http://127.0.0.1:{free_port()}/"},
    "sse": lambda _: {"url": f"http://127.0.0.1:{free_port()}/"},
    "command": lambda _: {"argv": ["no-such-program"]},
}
TEMPLATED: dict[str, Any] = {
    "http": lambda server: {"url": server.url, "headers": {"X": "{{ payload.missing }}"}},
    "sse": lambda server: {"url": server.url, "headers": {"X": "{{ payload.missing }}"}},
    "command": lambda _: {"argv": ["true", "{{ payload.missing }}"]},
}
STREAM = Answer(headers={"Content-Type": "text/event-stream"}, body=b"event: complete\ndata: {}\n\n")

pytestmark = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
async def server() -> AsyncIterator[TargetServer]:
    answers = {"/fail": Answer(status=500), "/stream": STREAM}
    async with TargetServer(lambda call: answers.get(call.path, Answer())) as server:
        yield server


async def test_a_success_is_told(kind: str, server: TargetServer) -> None:
    given = attempt()
    async with configured(kind, **WORKING[kind](server)).open() as target:
        assert isinstance(await call(target, given), Succeeded)

    assert given.lines


@pytest.mark.parametrize("keys", [FAILING, BROKEN])
async def test_a_failure_is_a_value_with_a_reason(kind: str, keys: Any, server: TargetServer) -> None:
    given = attempt()
    async with configured(kind, **keys[kind](server)).open() as target:
        outcome = await call(target, given)

    assert isinstance(outcome, RetryableFailure | PermanentFailure)
    assert outcome.reason
    assert given.lines


async def test_a_template_that_fails_does_so_before_anything_is_called(kind: str, server: TargetServer) -> None:
    async with configured(kind, **TEMPLATED[kind](server)).open() as target:
        with pytest.raises(TemplateError, match="missing"):
            target.render(attempt().context)

    assert not server.calls


async def test_rendering_calls_nothing_and_can_be_shown(kind: str, server: TargetServer) -> None:
    async with configured(kind, **WORKING[kind](server)).open() as target:
        assert target.render(attempt().context).shown

    assert not server.calls


async def test_several_are_opened_by_name_and_closed_together(kind: str, server: TargetServer) -> None:
    settings = configured(kind, **WORKING[kind](server))

    async with open_targets({"a": settings, "b": settings}) as targets:
        assert list(targets) == ["a", "b"]
        assert targets["a"].settings is settings
        assert isinstance(await call(targets["b"]), Succeeded)


def test_unknown_keys_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="tiemout"):
        configured(kind, tiemout="5s")
