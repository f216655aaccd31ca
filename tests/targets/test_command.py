"""Commands: what they are given, and what becomes of how they end."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import TemplateError
from gateway.core.outcome import PermanentFailure, RetryableFailure, Succeeded
from gateway.targets.command import INHERITED, OWN
from gateway.targets.display import masked_arguments
from tests.targets.calling import attempt, configured
from tests.targets.commands import ran, said_by


def rendered(argv: list[str], payload: Any = None, **keys: Any) -> Any:
    async def render() -> Any:
        async with configured("command", argv=argv, **keys).open() as target:
            return target.render(attempt(payload).context)

    return asyncio.run(render())


# What an end means


@pytest.mark.parametrize("code", [1, 2, 77, 127, 255])
async def test_an_exit_code_that_is_not_0_may_be_tried_again(code: int) -> None:
    outcome = await ran(argv=["sh", "-c", f"exit {code}"])

    assert outcome == RetryableFailure(reason=f"exited with {code}", status=code)


async def test_exit_codes_can_be_final_or_a_success() -> None:
    keys: dict[str, Any] = {"retry": {"not_on": [2]}, "success": [0, 24], "permanent": "'quota' in response.text"}

    final = await ran(argv=["sh", "-c", "exit 2"], **keys)
    success = await ran(argv=["sh", "-c", "exit 24"], **keys)
    told = await ran(argv=["sh", "-c", "echo over quota >&2; exit 1"], **keys)
    other = await ran(argv=["sh", "-c", "exit 1"], **keys)

    assert final == PermanentFailure(reason="exited with 2", status=2)
    assert success == Succeeded(status=24)
    assert told == PermanentFailure(reason="exited with 1", status=1)
    assert isinstance(other, RetryableFailure)


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (11, "SIGSEGV"), (15, "SIGTERM")])
async def test_x04_the_signal_that_ended_it_is_named(number: int, name: str) -> None:
    outcome = await ran(argv=["sh", "-c", f"ulimit -c 0; kill -{number} $$"])

    assert outcome == RetryableFailure(reason=f"was ended by {name}", status=128 + number)


async def test_x04_what_cannot_start_is_not_reached(tmp_path: Path) -> None:
    (tmp_path / "not-executable").write_text("#!/bin/sh\n")
    (tmp_path / "no-program").write_bytes(b"\0\1\2")
    (tmp_path / "no-program").chmod(0o755)
    cases: dict[str, dict[str, Any]] = {
        "No such file or directory: no-such-program": {"argv": ["no-such-program"]},
        f"Permission denied: {tmp_path}/not-executable": {"argv": [f"{tmp_path}/not-executable"]},
        f"Exec format error: {tmp_path}/no-program": {"argv": [f"{tmp_path}/no-program"]},
        "No such file or directory: /no/such/folder": {"argv": ["true"], "cwd": "/no/such/folder"},
    }
    for reason, keys in cases.items():
        assert await ran(**keys) == RetryableFailure(reason=f"cannot start: {reason}", reached=False)


@pytest.mark.parametrize("size", [200_000, 3_000_000])
async def test_s16_arguments_too_long_for_the_system_are_final(size: int) -> None:
    outcome = await ran(argv=["true", "{{ payload }}"], payload="x" * size)

    assert isinstance(outcome, PermanentFailure)
    assert outcome.reason == "cannot start: Argument list too long: true; pass what is long in stdin"


async def test_a_time_out_does_not_count_for_the_breaker() -> None:
    assert not configured("command", argv=["true"]).LATE_IS_UNREACHED


# What it is given


@pytest.mark.parametrize("hostile", ["--force", "-rf", "-", "--"])
def test_s16_data_cannot_become_an_option(hostile: str) -> None:
    with pytest.raises(TemplateError, match=r"argv\[1\]: .* would be an option"):
        rendered(["rm", "{{ payload }}"], hostile)


@pytest.mark.parametrize(
    "argv",
    [
        ["rm", "--", "{{ payload }}"],
        ["rm", "--name={{ payload }}"],
        ["rm", "-n{{ payload }}"],
        ["rm", "x{{ payload }}"],
    ],
)
def test_s16_where_data_cannot_become_an_option_it_may_look_like_one(argv: list[str]) -> None:
    assert rendered(argv, "--force").argv[-1].endswith("--force")


def test_s16_what_only_looks_like_the_end_of_options_in_the_data_is_not_it() -> None:
    with pytest.raises(TemplateError, match="would be an option"):
        rendered(["rm", "{{ payload[0] }}", "{{ payload[1] }}"], ["--", "--force"])


@pytest.mark.parametrize(
    ("argv", "payload", "problem"),
    [
        (["{{ payload }}"], "", r"argv\[0\]: no program"),
        (["echo", "{{ payload }}"], "a\0b", r"argv\[1\]: a NUL"),
        (["echo", "a\0b"], None, r"argv\[1\]: a NUL"),
        (["echo", "{{ payload }}"], "\ud800", r"argv\[1\]: .*surrogates"),
    ],
)
def test_s16_what_cannot_be_passed_is_refused(argv: list[str], payload: Any, problem: str) -> None:
    context = {"payload": payload}
    target_argv = configured("command", argv=argv)
    with pytest.raises(TemplateError, match=problem):
        asyncio.run(_render(target_argv, context))


async def _render(settings: Any, context: dict[str, Any]) -> Any:
    async with settings.open() as target:
        return target.render(context)


@pytest.mark.parametrize(
    "keys",
    [
        {"argv": []},
        {"argv": "rm -rf /"},
        {},
        {"argv": ["true"], "env": {"A=B": "c"}},
        {"argv": ["true"], "env": {"": "c"}},
        {"argv": ["true"], "env": {"GATEWAY_OUTPUT": "/etc/passwd"}},
        {"argv": ["true"], "cwd": "/tmp/\0"},
        {"argv": ["true"], "grace": "-1s"},
        {"argv": ["true"], "success": []},
        {"argv": ["true"], "success": [256]},
        {"argv": ["true", "{{ response }}"]},
        {"argv": ["true"], "shell": True},
    ],
)
def test_a_section_that_makes_no_sense_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        configured("command", **keys)


@pytest.mark.parametrize(
    "hostile",
    [
        "; touch {made}",
        "| touch {made}",
        "&& touch {made}",
        "$(touch {made})",
        "`touch {made}`",
        "x\ntouch {made}\n",
        "x\r\ntouch {made}",
        "'; touch {made}; '",
        '"; touch {made}; "',
        "> {made}",
        "* ? ~ $HOME ${{PATH}} %PATH% !! \\",
        "{{{{ run.id }}}} {{% if true %}}",
        "ü😀\u202e\x1b[2J\x7f",
        " ",
        "",
    ],
)
async def test_s16_an_argument_arrives_as_it_is(hostile: str, tmp_path: Path) -> None:
    """No shell looks at it, and no template at what another has made."""
    hostile = hostile.format(made=tmp_path / "made")
    tell = "import json, sys; json.dump(sys.argv[1:], open(sys.argv[1], 'w'))"
    argv = [sys.executable, "-c", tell, str(tmp_path / "told"), "{{ payload }}", "x={{ payload }}"]

    outcome = await ran(argv=argv, payload=hostile, env={"GIVEN": "{{ payload }}"}, stdin="{{ payload }}")

    assert outcome == Succeeded(status=0)
    assert json.loads((tmp_path / "told").read_text())[1:] == [hostile, f"x={hostile}"]
    assert not (tmp_path / "made").exists()


async def test_its_environment_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETBOX_WEBHOOK_SECRET", "hunter2")
    monkeypatch.delenv("LANG", raising=False)
    monkeypatch.setenv("TZ", "Europe/Amsterdam")

    given = attempt({"site": "ams"})
    await ran(given, argv=["env"], env={"SITE": "{{ payload.site }}", "HOME": "/srv"})
    env = dict(line.split("=", 1) for line in given.lines[1].splitlines())

    assert env.keys() == {*INHERITED, *OWN, "SITE"} - {"LANG"}
    assert (env["SITE"], env["HOME"], env["TZ"]) == ("ams", "/srv", "Europe/Amsterdam")
    assert env["GATEWAY_RUN_ID"] == given.run_id
    assert (env["GATEWAY_ATTEMPT"], env["TRACEPARENT"]) == ("1", given.traceparent)


async def test_it_has_nothing_of_the_gateway_open(tmp_path: Path) -> None:
    with (tmp_path / "open-in-the-gateway").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        given = attempt()
        await ran(given, argv=["ls", "-l", "/proc/self/fd"])

    assert "/proc/" in given.lines[1]
    assert "open-in-the-gateway" not in given.lines[1]
    assert "socket:" not in given.lines[1]


async def test_it_reads_stdin() -> None:
    payload = {"text": "ü" * 2_000_000}
    given = attempt(payload)

    await ran(given, argv=["wc", "-c"], stdin="{{ payload | tojson }}")

    assert int(given.lines[1]) == len('{"text":""}') + 2 * 2_000_000


async def test_it_need_not_read_stdin() -> None:
    assert await ran(argv=["true"], stdin="{{ payload }}", payload="x" * 10_000_000) == Succeeded(status=0)
    assert await said_by("cat") == []


async def test_it_runs_where_it_is_told_to(tmp_path: Path) -> None:
    assert await said_by("pwd", cwd=str(tmp_path)) == [str(tmp_path)]


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--token", "hunter2", "--name", "ams"], ["--token", "***", "--name", "ams"]),
        (["--api-key=hunter2"], ["--api-key=***"]),
        (["-H", "Authorization: Bearer hunter2"], ["-H", "Authorization:***"]),
        (["-c", "A=1 PASSWORD='hunter2' sync"], ["-c", "A=1 PASSWORD=***"]),
        (["-d", '{"password": "hunter2"}'], ["-d", '{"password":***']),
        (["postgresql://me:hunter2@host/db"], ["postgresql://***@host/db"]),
        (["-", "--", "-x", "a:b", "c=d"], ["-", "--", "-x", "a:b", "c=d"]),
    ],
)
def test_secrets_among_arguments_are_masked(arguments: list[str], shown: list[str]) -> None:
    assert masked_arguments(arguments) == shown


def test_secrets_are_masked_where_a_call_is_shown() -> None:
    shown = rendered(
        ["sync", "--token", "hunter2"],
        env={"API_TOKEN": "hunter2", "SITE": "ams", "BROKER": "amqp://me:hunter2@host/"},
        stdin='{"site": "ams", "password": "hunter2"}',
    ).shown

    assert "hunter2" not in str(shown)
    assert shown["argv"] == ["sync", "--token", "***"]
    assert shown["env"] == {"API_TOKEN": "***", "SITE": "ams", "BROKER": "amqp://***@host/"}
    assert shown["stdin"] == '{"site": "ams", "password":***'


async def test_secrets_are_masked_in_its_log() -> None:
    given = attempt()
    await ran(given, argv=["true", "--token", "hunter2"])

    assert given.lines[0] == "$ true --token '***'"
