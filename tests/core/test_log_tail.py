"""The end of a log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.log_tail import MAX_CHARACTERS, MAX_LINE, MAX_LINES, LogTail


def tail_of(*texts: str) -> LogTail:
    tail = LogTail()
    for text in texts:
        tail.add(text)
    return tail


def test_a_short_log_is_kept_as_it_is() -> None:
    tail = tail_of("one\ntwo", "", "three\r\n", "\n")

    assert tail.lines() == ["one", "two", "three", ""]
    assert (str(tail), tail.said, tail.dropped) == ("one\ntwo\nthree\n", 4, 0)


def test_of_many_lines_the_last_are_kept() -> None:
    tail = tail_of(*map(str, range(MAX_LINES + 10)))

    assert (len(tail.lines()), tail.lines()[0], tail.said, tail.dropped) == (MAX_LINES, "10", MAX_LINES + 10, 10)


def test_a_line_that_never_ends_is_broken() -> None:
    tail = tail_of("x" * 2**20)

    assert len(str(tail)) <= MAX_CHARACTERS
    assert {len(line) for line in tail.lines()} == {MAX_LINE}
    assert tail.said == 2**20 // MAX_LINE


@pytest.mark.parametrize(("since", "expected"), [(0, ["10", "11"]), (1010, ["1010"]), (1011, []), (5000, [])])
def test_what_is_new_since_a_line(since: int, expected: list[str]) -> None:
    tail = tail_of("\n".join(map(str, range(MAX_LINES + 11))))

    assert tail.lines(since)[:2] == ([str(tail.dropped), str(tail.dropped + 1)] if since == 0 else expected)


@given(st.lists(st.text(st.sampled_from("ab\n\r\u2028"), max_size=40).map(lambda text: text * 400), max_size=60))
def test_it_never_grows_beyond_its_limits(texts: list[str]) -> None:
    tail = tail_of(*texts)
    lines = tail.lines()

    assert len(lines) <= MAX_LINES
    assert sum(map(len, lines)) + len(lines) <= MAX_CHARACTERS
    assert tail.dropped + len(lines) == tail.said
    assert tail.lines(tail.said - 1 if lines else 0) == lines[-1:]
