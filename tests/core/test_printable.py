"""Nothing that is shown can forge a line or steer a terminal, and nothing is lost."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.printable import one_line, safe_json

HOSTILE = "a\nb\r\x1b[31m\x9b1m\x7f\u2028\u2029\u202e\u2066\x00\udcff\U000e0001\ufeff"


@given(st.text(st.characters(exclude_categories=())))
def test_one_line_is_printable_whatever_it_is_given(text: str) -> None:
    assert one_line(text).isprintable()


@pytest.mark.parametrize("text", ["", "Zürich, 東京 🚀", "a b"])
def test_what_is_printable_stays_as_it_is(text: str) -> None:
    assert one_line(text) == text


def test_s10_escapes_name_what_was_there() -> None:
    assert one_line("a\n\x1b\u202e\udcff") == r"a\n\x1b\u202e\udcff"


@given(st.text(st.characters(exclude_categories=())))
def test_safe_json_is_printable_and_means_the_same(text: str) -> None:
    safe = safe_json(json.dumps({text: [text]}, ensure_ascii=False))

    assert safe.isprintable()
    assert json.loads(safe) == {text: [text]}


def test_indentation_stays() -> None:
    assert safe_json('{\n  "a": "\u202e"\n}') == '{\n  "a": "\\u202e"\n}'


def test_hostile_text_has_no_line_break_left() -> None:
    assert len(one_line(HOSTILE).splitlines()) == 1
