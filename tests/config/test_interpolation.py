"""`${VAR}` and its kin."""

import contextlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.config.interpolation import MAX_FILE, Interpolation, InterpolationError

NOWHERE = Path("/nonexistent")
ENVIRON = {"A": "x", "EMPTY": "", "TRICKY": "${A} $${A} }"}


def fill(text: str, environ: Mapping[str, str] = ENVIRON, folder: Path = NOWHERE) -> str:
    return Interpolation(environ, folder)(text)[0]


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("${A}", "x"),
        ("a ${A} b ${A} c", "a x b x c"),
        ("${A:-d}", "x"),
        ("${EMPTY}", ""),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${UNSET:-d}", "d"),
        ("${UNSET-d}", "d"),
        ("${UNSET:-}", ""),
        ("${UNSET-}", ""),
        ("${UNSET:-a b:c-d/e}", "a b:c-d/e"),
        ("${UNSET:-http://u:p@h/?a=b}", "http://u:p@h/?a=b"),
        ("${UNSET:-${A}}", "x"),
        ("${UNSET:-a ${UNSET:-b ${A}} c}", "a b x c"),
        ("${A:-${UNSET}}", "x"),
        ("$${A}", "${A}"),
        ("$${", "${"),
        ("$$${A}", "$${A}"),
        ("${UNSET:-$${}", "${"),
        ("${TRICKY}", "${A} $${A} }"),
        ("$A $$ $ {A} }", "$A $$ $ {A} }"),
        ("$(param)", "$(param)"),
        ("{{ event.type }} ${A} }}", "{{ event.type }} x }}"),
    ],
)
def test_references_are_filled_in(text: str, filled: str) -> None:
    assert fill(text) == filled


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${UNSET}", "the variable UNSET is not set"),
        ("${UNSET:-${ALSO}}", "the variable ALSO is not set"),
        ("${", "expected ${VAR}"),
        ("${}", "expected ${VAR}"),
        ("${ A}", "expected ${VAR}"),
        ("${1A}", "expected ${VAR}"),
        ("${Ä}", "expected ${VAR}"),
        ("${file:}", "expected } after the name"),
        ("${A", "${ without its }"),
        ("${A:-d", "${ without its }"),
        ("${A:+d}", "expected } after the name"),
        ("${A:=d}", "expected } after the name"),
        ("${A?no}", "expected } after the name"),
        ("${A.b}", "expected } after the name"),
        ("${A:-" * 100 + "}" * 100, "more than 8 references in one another"),
        ("${A:-" * 100_000, "more than 8 references in one another"),
        ("${file:missing}", "cannot read /nonexistent/missing: No such file or directory"),
    ],
)
def test_broken_references_are_refused(text: str, message: str) -> None:
    with pytest.raises(InterpolationError) as caught:
        fill(text)

    assert message in str(caught.value)


def test_a_file_gives_its_content_without_the_last_line_break(tmp_path: Path) -> None:
    """Editors end files with one; passwords do not."""
    (tmp_path / "secret").write_bytes(b" hunter2 ${A}\r\n\n")

    assert fill("${file:secret}", folder=tmp_path) == " hunter2 ${A}"
    assert fill(f"a-${{file:{tmp_path}/secret}}-b") == "a- hunter2 ${A}-b"


@pytest.mark.parametrize(
    ("content", "message"), [(b"\xff", "is not UTF-8"), (b"x" * (MAX_FILE + 1), f"is larger than {MAX_FILE} bytes")]
)
def test_a_file_that_is_no_secret_is_refused_without_showing_it(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "file").write_bytes(content)

    with pytest.raises(InterpolationError) as caught:
        fill("${file:file}", folder=tmp_path)
    assert str(caught.value) == f"{tmp_path}/file {message}"


def test_a_device_without_end_is_not_read_to_it() -> None:
    with pytest.raises(InterpolationError, match="is larger than"):
        fill("${file:/dev/zero}")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InterpolationError, match="Is a directory"):
        fill("${file:.}", folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "outside"),
    [("${A}", True), ("x", False), ("$${A}", False), ("${UNSET:-d}", False), ("${UNSET:-${A}}", True)],
)
def test_it_is_known_what_came_from_outside(text: str, outside: bool) -> None:
    assert Interpolation(ENVIRON, NOWHERE)(text)[1] is outside


@given(st.text())
@example("${A}")
@example("$$${")
@example("$${}")
def test_an_escaped_text_is_that_text(text: str) -> None:
    assert fill(text.replace("${", "$${")) == text


@given(st.text(), st.text(alphabet=st.characters(exclude_characters="$"), max_size=20))
@example("${A}", "")
@example("}", "}")
def test_a_value_is_put_in_as_it_is_and_never_looked_at(value: str, around: str) -> None:
    assert fill(f"{around}${{X}}{around}", {"X": value}) == f"{around}{value}{around}"


@given(st.text(alphabet="${}:-Afile/ \n", max_size=40))
def test_whatever_is_written_is_filled_in_or_refused(text: str) -> None:
    with contextlib.suppress(InterpolationError):
        fill(text)
