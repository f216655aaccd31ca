"""Commands: what they say, and what they give."""

import asyncio
from pathlib import Path

import pytest

from gateway.core.outcome import Succeeded
from gateway.targets.answer import MAX_OUTPUT
from gateway.targets.process import MAX_LINE
from tests.targets.calling import attempt
from tests.targets.commands import ran, said_by
from tests.waiting import until


async def test_both_outputs_are_heard_in_order() -> None:
    assert await said_by("echo 1; echo 2 >&2; echo 3; printf 4") == ["1", "2", "3", "4"]


async def test_it_is_heard_as_it_speaks(tmp_path: Path) -> None:
    given = attempt()
    running = asyncio.create_task(ran(given, argv=["sh", "-c", f"echo begun; until [ -e {tmp_path}/go ]; do :; done"]))

    async def heard() -> bool:
        return "begun" in given.lines

    await until(heard, True, "its first line")
    (tmp_path / "go").touch()
    assert await running == Succeeded(status=0)


async def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert await said_by(r"printf 'a\377b\000c\033[2Kd\r\nend\303\274\r10%%\r20%%'") == [
        "a\ufffdb\ufffdc\ufffd[2Kd",
        "endü",
        "10%",
        "20%",
    ]


async def test_long_lines_are_broken() -> None:
    lines = await said_by("head -c 1000000 /dev/zero | tr '\\0' x")

    assert {len(line) for line in lines[:-1]} == {MAX_LINE}
    assert sum(map(len, lines)) == 1_000_000


# What it gives


async def test_json_that_it_writes_is_the_output() -> None:
    write = """echo '{"id": 7, "ok": true}' > "$GATEWAY_OUTPUT" """

    plain = await ran(argv=["sh", "-c", write])
    templated = await ran(
        argv=["sh", "-c", f"echo hello; {write}"],
        output={"process": "{{ response.json.id }}", "code": "{{ response.status }}", "said": "{{ response.text }}"},
    )

    assert plain == Succeeded(status=0, output={"id": 7, "ok": True})
    assert templated == Succeeded(status=0, output={"process": 7, "code": 0, "said": "hello\n"})


@pytest.mark.parametrize(
    ("write", "problem"),
    [
        ("echo nonsense > $GATEWAY_OUTPUT", "not JSON"),
        (f"head -c {MAX_OUTPUT + 1} /dev/zero > $GATEWAY_OUTPUT", "more than 65536 bytes"),
        ("""printf '"\\\\u0000"' > $GATEWAY_OUTPUT""", "NUL"),
        ("printf '\\377' > $GATEWAY_OUTPUT", "not JSON"),
    ],
)
async def test_an_output_that_cannot_be_kept_is_no_failure(write: str, problem: str) -> None:
    outcome = await ran(argv=["sh", "-c", write])

    assert isinstance(outcome, Succeeded)
    assert outcome.output is None
    assert "its output was not kept" in str(outcome.reason)
    assert problem in str(outcome.reason)


@pytest.mark.parametrize(
    "leave",
    [
        "true",
        ": > $GATEWAY_OUTPUT",
        "mkdir $GATEWAY_OUTPUT",
        "mkfifo $GATEWAY_OUTPUT",
        "ln -s $GATEWAY_OUTPUT $GATEWAY_OUTPUT",
        "ln -s /proc/self/mem $GATEWAY_OUTPUT",
        "rm -r ${GATEWAY_OUTPUT%/*}",
    ],
)
async def test_without_an_output_there_is_none(leave: str) -> None:
    assert await ran(argv=["sh", "-c", leave]) == Succeeded(status=0)


async def test_the_folder_of_its_output_is_gone_afterwards() -> None:
    [written] = await said_by("touch $GATEWAY_OUTPUT; echo $GATEWAY_OUTPUT")

    assert not Path(written).parent.exists()
