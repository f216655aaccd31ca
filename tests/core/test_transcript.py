"""Logs as people read them."""

from typing import Any

import pytest

from gateway.core.transcript import heading, log_line

ENDED: dict[str, Any] = {
    "number": 2,
    "node": "a:1",
    "started_at": "22:00",
    "finished_at": "22:05",
    "outcome": "failed",
    "status": 503,
    "reason": "no",
}


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        (ENDED, "== attempt 2 on a:1 from 22:00 to 22:05: failed, status 503: no"),
        (ENDED | {"node": None, "status": None, "reason": None}, "== attempt 2 from 22:00 to 22:05: failed"),
        (ENDED | {"finished_at": None, "outcome": None}, "== attempt 2 on a:1 from 22:00"),
        (
            ENDED | {"reason": "a\nb\x1b[2J"},
            r"== attempt 2 on a:1 from 22:00 to 22:05: failed, status 503: a\nb\x1b[2J",
        ),
    ],
)
def test_a_heading_says_what_is_known(attempt: dict[str, Any], expected: str) -> None:
    assert heading(attempt) == expected


def test_a_line_is_harmless_and_keeps_its_tabs() -> None:
    assert log_line("a\tb\x1b[2J\u202e\r") == "a\tb\\x1b[2J\\u202e\\r"
