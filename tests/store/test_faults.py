"""What is said of errors of the database."""

import pytest

from gateway.store.faults import told


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (TimeoutError(), "TimeoutError: "),
        (OSError("disk I/O error\n[SQL: INSERT …]"), "OSError: disk I/O error"),
        (ValueError("x" * 1000), "ValueError: " + "x" * 188),
    ],
)
def test_an_error_is_told_in_a_line_even_if_it_says_nothing(error: Exception, line: str) -> None:
    assert told(error) == line
